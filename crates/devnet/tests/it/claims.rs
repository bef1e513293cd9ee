//! Claims and proofs, from relays to settlement.

use pocket_crypto::address::Address;
use pocket_proto::pocket::proof::{self, ClaimProofStatus};

use crate::support::{Net, attribute, find, own_events};

/// Brings a network to where a claim of the session 1 to 10 can be sent.
fn at_claim_window() -> Net {
    let net = Net::new();
    net.make_until(11);
    net
}

#[test]
fn proved_work_is_paid_by_the_application_and_shared() {
    let mut net = at_claim_window();
    let mut work = net.work(&net.session(5), "supplier1", 14);
    let names = ["supplier1", "source_owner_develop", "pnf", "validator1"];
    let claim = net.claim(&mut work);
    let result = net.deliver("supplier1", claim);
    assert_eq!(result.code, 0, "{}", result.log);
    assert_eq!(attribute(find(&result.events, "pocket.proof.EventClaimCreated"), "claimed_upokt"), "\"1400000upokt\"");
    net.make_until(19);
    let proof = net.proof(&mut work, false);
    let before: Vec<u128> = names.iter().map(|name| net.balance(name)).collect();
    let supply = net.chain.state().supply;
    let result = net.deliver("supplier1", proof);
    assert_eq!(result.code, 0, "{}", result.log);
    let block = net.chain.block(Some(20)).unwrap();
    assert_eq!(own_events(&block), ["pocket.proof.EventProofValidityChecked"]);
    assert_eq!(
        attribute(find(block.events(), "pocket.proof.EventProofValidityChecked"), "claim_proof_status_int"),
        "1"
    );
    net.make_until(28);
    let block = net.chain.block(Some(28)).unwrap();
    assert_eq!(own_events(&block)[0], "pocket.tokenomics.EventClaimSettled");
    assert_eq!(*own_events(&block).last().unwrap(), "pocket.service.EventRelayMiningDifficultyUpdated");
    let gained: Vec<i128> =
        names.iter().zip(before).map(|(name, before)| net.balance(name).cast_signed() - before.cast_signed()).collect();
    assert_eq!(gained, [980_000 - 1_000_000, 210_000, 140_000, 70_000], "the proof cost its fee");
    let state = net.chain.state();
    assert_eq!(state.supply, supply, "what was minted was burned");
    let app1 = state.applications.get(&net.address("app1")).unwrap();
    assert_eq!(app1.stake.as_ref().unwrap().amount, "9998600000");
    assert_eq!(state.balance(Address::module("proof").as_str()), 1_000_000);
    assert!(state.claims.is_empty() && state.claims_by_end.is_empty() && state.claims_by_supplier.is_empty());
    assert!(state.proofs.is_empty());
}

#[test]
fn a_claim_is_taken_only_within_its_window() {
    let mut net = Net::new();
    net.make_until(10);
    let mut work = net.work(&net.session(5), "supplier1", 2);
    let claim = net.claim(&mut work);
    let early = net.deliver("supplier1", claim.clone());
    assert_eq!((early.code, early.codespace.as_str()), (1, "undefined"));
    assert!(early.log.contains("current block height (11) is less than"), "{}", early.log);
    assert_eq!(net.deliver("supplier1", claim.clone()).code, 0, "height 12 is the first");
    net.make_until(19);
    let updated = net.deliver("supplier1", claim.clone());
    assert_eq!(updated.code, 0, "height 20 is the last");
    find(&updated.events, "pocket.proof.EventClaimUpdated");
    let late = net.deliver("supplier1", claim);
    assert!(late.log.contains("current block height (21) is greater than"), "{}", late.log);
}

#[test]
fn a_proof_for_the_wrong_path_is_taken_then_found_out_and_slashed() {
    let mut net = at_claim_window();
    let mut work = net.work(&net.session(5), "supplier2", 9);
    let claim = net.claim(&mut work);
    net.deliver("supplier2", claim);
    net.make_until(19);
    let proof = net.proof(&mut work, true);
    assert_eq!(net.deliver("supplier2", proof).code, 0, "the handler does not look at the path");
    let block = net.chain.block(Some(20)).unwrap();
    let checked = find(block.events(), "pocket.proof.EventProofValidityChecked");
    assert_eq!(attribute(checked, "claim_proof_status_int"), "2");
    assert!(attribute(checked, "failure_reason").contains("does not match one expected by the onchain protocol"));
    net.make_until(28);
    let block = net.chain.block(Some(28)).unwrap();
    let expired = find(block.events(), "pocket.tokenomics.EventClaimExpired");
    assert_eq!(attribute(expired, "expiration_reason"), "\"PROOF_INVALID\"");
    let slashed = find(block.events(), "pocket.tokenomics.EventSupplierSlashed");
    assert_eq!(attribute(slashed, "supplier_stake_after_slash"), "\"1750000upokt\"");
    let state = net.chain.state();
    let supplier2 = state.suppliers.get(&net.address("supplier2")).unwrap();
    assert_eq!(supplier2.stake.as_ref().unwrap().amount, "1750000");
    assert_eq!(state.balance(Address::module("supplier").as_str()), 30_000_000 - 250_000);
    assert_eq!(state.balance(Address::module("tokenomics").as_str()), 0);
}

#[test]
fn a_claim_without_proof_expires_and_its_supplier_is_slashed() {
    let mut net = at_claim_window();
    let supply = net.chain.state().supply;
    let mut work = net.work(&net.session(5), "supplier3", 3);
    let claim = net.claim(&mut work);
    net.deliver("supplier3", claim);
    net.make_until(28);
    let block = net.chain.block(Some(28)).unwrap();
    assert_eq!(own_events(&block), ["pocket.tokenomics.EventClaimExpired", "pocket.tokenomics.EventSupplierSlashed"]);
    let expired = find(block.events(), "pocket.tokenomics.EventClaimExpired");
    assert_eq!(attribute(expired, "expiration_reason"), "\"PROOF_MISSING\"");
    assert_eq!(net.chain.state().supply, supply - 250_000);
}

#[test]
fn a_better_proof_in_a_later_block_mends_a_bad_one() {
    let mut net = at_claim_window();
    let mut work = net.work(&net.session(5), "supplier1", 5);
    let claim = net.claim(&mut work);
    net.deliver("supplier1", claim);
    net.make_until(19);
    let bad = net.proof(&mut work, true);
    net.deliver("supplier1", bad);
    let good = net.proof(&mut work, false);
    assert_eq!(net.deliver("supplier1", good).code, 0);
    let state = net.chain.state();
    let header = work.session.header.as_ref().unwrap();
    let claim = state.claim(&header.session_id, net.address("supplier1").as_str()).unwrap();
    assert_eq!(claim.proof_validation_status, i32::from(ClaimProofStatus::Validated));
    net.make_until(28);
    find(net.chain.block(Some(28)).unwrap().events(), "pocket.tokenomics.EventClaimSettled");
}

/// Whether a claim must be proved depends on its status, so that a claim found invalid is sampled again at settlement
/// (protocol §8.4.3): it may come out as needing no proof, and is then paid.
#[test]
fn a_claim_found_invalid_is_sampled_again_at_settlement() {
    let mut outcomes = std::collections::BTreeSet::new();
    for relays in 1..40 {
        let mut net = Net::new();
        let param = proof::MsgUpdateParam {
            authority: Address::module("gov").to_string(),
            name: "proof_request_probability".to_owned(),
            as_type: Some(proof::msg_update_param::AsType::AsFloat(0.5)),
        };
        net.chain.govern(vec![pocket_proto::any(&param)]).unwrap();
        net.make_until(11);
        let mut work = net.work(&net.session(5), "supplier1", relays);
        let claim = net.claim(&mut work);
        net.deliver("supplier1", claim);
        net.make_until(19);
        let proof = net.proof(&mut work, true);
        let result = net.deliver("supplier1", proof);
        if result.code != 0 {
            assert!(result.log.ends_with("proof not required"), "{}", result.log);
            continue;
        }
        net.make_until(28);
        let block = net.chain.block(Some(28)).unwrap();
        let first = own_events(&block)[0].to_owned();
        if first == "pocket.tokenomics.EventClaimSettled" {
            let settled = find(block.events(), &first);
            assert_eq!(attribute(settled, "claim_proof_status_int"), "2");
            assert_eq!(attribute(settled, "proof_requirement_int"), "0");
        }
        outcomes.insert(first);
        if outcomes.len() == 2 {
            return;
        }
    }
    panic!("forty claims, and only {outcomes:?}");
}

#[test]
fn two_claims_in_one_transaction_stand_or_fall_together() {
    let mut net = at_claim_window();
    let session = net.session(5);
    let mut work = net.work(&session, "supplier1", 2);
    let good = net.claim(&mut work);
    let mut bad: proof::MsgCreateClaim = prost::Message::decode(&good.value[..]).unwrap();
    bad.root_hash[47] = 9;
    let tx = net.sign("supplier1", &[good, pocket_proto::any(&bad)], 0);
    let result = net.deliver_bytes(&tx);
    assert_eq!(result.code, 1);
    assert!(result.log.starts_with("failed to execute message; message index: 1: rpc error: code = InvalidArgument"));
    assert!(net.chain.state().claims.is_empty());
}

#[test]
fn what_needs_no_state_is_refused_before_the_mempool() {
    let mut net = at_claim_window();
    let mut work = net.work(&net.session(5), "supplier1", 2);
    let good = net.claim(&mut work);
    let mut short: proof::MsgCreateClaim = prost::Message::decode(&good.value[..]).unwrap();
    short.root_hash.truncate(3);
    let tx = net.sign("supplier1", &[pocket_proto::any(&short)], 0);
    let refused = net.chain.submit(&tx).unwrap();
    assert_eq!((refused.code, refused.codespace.as_str()), (1104, "proof"));
    assert_eq!(refused.log, "expecting root hash to be 48 bytes, got 3 bytes: invalid root hash");
}
