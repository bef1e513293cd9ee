//! What must hold whatever is settled: tokens are conserved, budgets are kept, a claim is due once.

#![expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "numbers of tests are small")]

use std::collections::BTreeMap;

use pocket_proto::cosmos::base::v1beta1::Coin;
use pocket_proto::pocket::application::Application;
use pocket_proto::pocket::proof::Claim;
use pocket_proto::pocket::session::SessionHeader;
use pocket_proto::pocket::shared::{ServiceConfigUpdate, ServiceRevenueShare, Supplier, SupplierServiceConfig};

use super::{
    Delegation, Event, InputError, Movement, ServiceFacts, SettlementInput, SettlementOutcome, Validator,
    due_session_ends, module, settle,
};
use crate::Upokt;
use crate::mining::{Difficulty, DifficultyEntry};
use crate::params::{Proof, Shared, SharedState, Shares, Tokenomics};
use crate::sampling::GoRand;

const SESSION_END: i64 = 110;
/// With windows of 19 blocks in sum; two sessions are pending at a time.
const SETTLEMENT: i64 = SESSION_END + 20;
const PENDING_SESSIONS: u128 = 2;
const SEEDS: std::ops::Range<i64> = 0..300;

/// A chain's state that a settlement can be asked of.
#[derive(Clone)]
struct World {
    height: i64,
    claims: Vec<Claim>,
    shared: SharedState,
    proof: Proof,
    tokenomics: Tokenomics,
    application_min_stake: Upokt,
    applications: BTreeMap<String, Application>,
    suppliers: BTreeMap<String, Supplier>,
    services: BTreeMap<String, ServiceFacts>,
    block_hashes: BTreeMap<i64, Vec<u8>>,
    validators: Vec<Validator>,
}

impl World {
    /// A small network: two applications, three suppliers, two services, two validators, no claims.
    fn new() -> Self {
        let shared = Shared { proof_window_close_offset_blocks: 14, ..Shared::DEFAULT };
        Self {
            height: SETTLEMENT,
            claims: Vec::new(),
            shared: SharedState::new(shared),
            proof: Proof {
                request_probability: 0.0,
                requirement_threshold: Upokt(u128::MAX),
                missing_penalty: Upokt(700),
                submission_fee: Upokt(1),
            },
            tokenomics: Tokenomics {
                dao_reward_address: address(90),
                mint_allocation: Shares::DEFAULT,
                mint_equals_burn_distribution: Shares::DEFAULT,
                global_inflation_per_claim: 0.0,
                mint_ratio: 1.0,
                overservicing_bonus_multiplier: 1,
            },
            application_min_stake: Upokt::ZERO,
            applications: (0..2).map(|index| (address(index), application(index))).collect(),
            suppliers: (10..13).map(|index| (address(index), supplier(index))).collect(),
            services: ["svc1", "svc2"].map(|id| (id.to_owned(), service())).into(),
            block_hashes: BTreeMap::new(),
            validators: vec![
                Validator {
                    commission_rate: 100_000_000_000_000_000,
                    delegations: vec![
                        Delegation { delegator_address: address(80), tokens: Upokt(700) },
                        Delegation { delegator_address: address(81), tokens: Upokt(300) },
                    ],
                    ..validator(80, 1_000)
                },
                validator(82, 2_001),
            ],
        }
    }

    /// A network with random parameters and claims.
    fn random(seed: i64) -> Self {
        let mut random = GoRand::new(seed);
        let mut below = |limit: u64| random.uint64() % limit;
        let mut world = Self::new();
        world.tokenomics.global_inflation_per_claim = [0.0, 0.1, 0.000_003, 0.5][below(4) as usize];
        world.tokenomics.mint_ratio = [1.0, 0.975, 0.5][below(3) as usize];
        world.tokenomics.overservicing_bonus_multiplier = below(12);
        world.proof.request_probability = [0.0, 0.3, 1.0][below(3) as usize];
        for index in 0..2 {
            let stake = 1 + below(1_000_000);
            world.applications.get_mut(&address(index)).expect("made above").stake = Some(coin(stake));
        }
        for number in 0..=below(12) {
            let relays = 1 + below(40);
            let application = below(2) as u8;
            // An application has a session per service.
            let service = ["svc1", "svc2"][usize::from(application)];
            let mut claim = claim(application, 10 + below(3) as u8, service, relays);
            claim.proof_validation_status = below(3) as i32;
            claim.root_hash[0] = number as u8;
            world.claims.push(claim);
        }
        // The store has one claim of a supplier in a session.
        world.claims.sort_by_key(|claim| (super::key(claim), claim.root_hash.clone()));
        world.claims.dedup_by_key(|claim| super::key(claim));
        world
    }

    fn settle(&self) -> SettlementOutcome {
        settle(&SettlementInput {
            height: self.height,
            claims: &self.claims,
            shared: &self.shared,
            proof: &self.proof,
            tokenomics: &self.tokenomics,
            application_min_stake: self.application_min_stake,
            supplier_min_stake: Upokt(4_000),
            applications: &self.applications,
            suppliers: &self.suppliers,
            services: &self.services,
            block_hashes: &self.block_hashes,
            validators: &self.validators,
        })
        .expect("the world is a chain's state")
    }

    fn stakes_lost(&self, outcome: &SettlementOutcome) -> (i128, i128) {
        let before = |coin: &Option<Coin>| coin.as_ref().expect("a stake").amount.parse::<i128>().expect("an amount");
        let applications = outcome.applications.iter();
        let suppliers = outcome.suppliers.iter();
        (
            applications.map(|it| before(&self.applications[&it.address].stake) - it.stake.0 as i128).sum(),
            suppliers.map(|it| before(&self.suppliers[&it.operator_address].stake) - it.stake.0 as i128).sum(),
        )
    }
}

#[test]
fn tokens_are_conserved() {
    for seed in SEEDS {
        let world = World::random(seed);
        let outcome = world.settle();
        assert_eq!(outcome.discarded, 0, "seed {seed}: {:?}", outcome.events);
        let net = |name: &str| -> i128 {
            let side = |at: &str, amount: i128| if at == name { amount } else { 0 };
            outcome
                .bank
                .iter()
                .map(|operation| {
                    let amount = operation.amount.0 as i128;
                    match &operation.movement {
                        Movement::Mint { module } => side(module, amount),
                        Movement::Burn { module } => side(module, -amount),
                        Movement::ModuleToModule { from, to } => side(from, -amount) + side(to, amount),
                        Movement::ModuleToAccount { from, .. } => side(from, -amount),
                    }
                })
                .sum()
        };
        let (application_stakes, supplier_stakes) = world.stakes_lost(&outcome);
        assert_eq!(net(module::TOKENOMICS), 0, "seed {seed}: what is minted is distributed");
        assert_eq!(net(module::APPLICATION), -application_stakes, "seed {seed}: stakes are burned or reimbursed");
        assert_eq!(net(module::SUPPLIER), -supplier_stakes, "seed {seed}: rewards pass through, slashes leave");
    }
}

#[test]
fn an_application_pays_no_more_than_its_stake_over_its_pending_sessions() {
    for seed in SEEDS {
        let world = World::random(seed);
        let outcome = world.settle();
        for change in &outcome.applications {
            let stake = &world.applications[&change.address].stake;
            let before: u128 = stake.as_ref().expect("a stake").amount.parse().expect("an amount");
            assert!(before - change.stake.0 <= before / PENDING_SESSIONS, "seed {seed}: {change:?} of {before}");
        }
    }
}

#[test]
fn every_due_claim_is_removed_once() {
    for seed in SEEDS {
        let world = World::random(seed);
        let outcome = world.settle();
        let mut removed = outcome.removed.clone();
        removed.sort();
        removed.dedup();
        assert_eq!(removed.len(), world.claims.len(), "seed {seed}");
        assert_eq!(outcome.settled + outcome.expired + outcome.discarded, removed.len() as u64, "seed {seed}");
    }
}

#[test]
fn order_of_the_stored_claims_does_not_matter() {
    for seed in SEEDS {
        let world = World::random(seed);
        let mut reversed = world.clone();
        reversed.claims.reverse();
        assert_eq!(world.settle(), reversed.settle(), "seed {seed}");
    }
}

#[test]
fn a_claim_is_due_at_one_height_only() {
    let mut world = World::new();
    world.claims.push(claim(0, 10, "svc1", 1));
    let due = (SESSION_END..SETTLEMENT + 40).filter(|&height| {
        world.height = height;
        !world.settle().removed.is_empty()
    });
    assert_eq!(due.collect::<Vec<_>>(), [SETTLEMENT]);
}

#[test]
fn a_change_of_windows_leaves_older_sessions_their_own_height() {
    let before = World::new().shared.live;
    for close in [1, 30] {
        let mut world = World::new();
        world.claims.push(claim(0, 10, "svc1", 1));
        let after = Shared { proof_window_close_offset_blocks: close, ..before };
        world.shared.history = [(1, before), (SESSION_END + 1, after)].into_iter().collect();
        world.shared.live = after;
        let due = (SESSION_END..SETTLEMENT + 60).find(|&height| {
            world.height = height;
            !world.settle().removed.is_empty()
        });
        assert_eq!(due, Some(SETTLEMENT), "proof window of {close} blocks from the next session on");
        let live = SETTLEMENT - after.offsets().sum() - 1;
        assert_eq!(due_session_ends(&world.shared, SETTLEMENT), [live, SESSION_END]);
    }
}

#[test]
fn a_second_session_of_a_poor_application_is_discarded() {
    let mut world = World::new();
    world.shared.live.proof_window_close_offset_blocks = 4;
    world.height = SESSION_END + 10;
    world.applications.get_mut(&address(0)).expect("made above").stake = Some(coin(50_000));
    world.claims = vec![claim(0, 10, "svc1", 10), claim(0, 10, "svc2", 10)];
    world.claims[1].session_header.as_mut().expect("made above").session_id = "session-2".to_owned();
    let outcome = world.settle();
    // Each session may take all of the stake there was at the beginning, so only the first finds it.
    assert_eq!((outcome.settled, outcome.discarded), (1, 1));
    assert_eq!(outcome.applications[0].stake, Upokt(8_000));
    let discarded = outcome.events.iter().find_map(|event| match event {
        Event::ClaimDiscarded(discarded) => Some(&discarded.error),
        _ => None,
    });
    let wording = "stake cannot be reduced to a negative amount <nil>: application stake cannot be reduced to a -ve";
    assert!(discarded.is_some_and(|error| error.contains(wording)), "{discarded:?}");
}

#[test]
fn delegators_are_paid_under_a_reason_of_their_own() {
    let mut world = World::new();
    world.claims.push(claim(0, 10, "svc1", 10));
    let outcome = world.settle();
    let rewards: Vec<_> = outcome
        .events
        .iter()
        .filter_map(|event| match event {
            Event::ValidatorReward(reward) => Some(reward.as_ref()),
            _ => None,
        })
        .collect();
    // 42,000 upokt, of which 2,100 to validators with 1,000 and 2,001 bonded tokens: 699.77 and 1,400.23.
    let accounts: Vec<&str> = rewards.iter().map(|reward| reward.validator_account_address.as_str()).collect();
    assert_eq!(accounts, [address(82), address(80)], "in the order of their addresses");
    let first = rewards[1];
    assert_eq!((first.pool_share_upokt.as_str(), first.commission_upokt.as_str()), ("700", "70"));
    assert_eq!(first.commission_rate, "0.100000000000000000");
    assert_eq!((first.self_delegation_reward_upokt.as_str(), first.delegators_reward_upokt.as_str()), ("441", "189"));
    assert_eq!((first.total_delegated_stake_upokt.as_str(), first.num_delegators), ("1000", 1));
    assert_eq!(rewards[0].self_delegation_reward_upokt, "1400");

    let paid = |address: String| -> Vec<(i32, u128)> {
        let operations = outcome
            .bank
            .iter()
            .filter(|operation| matches!(&operation.movement, Movement::ModuleToAccount { to, .. } if *to == address));
        operations.map(|operation| (operation.reason.into(), operation.amount.0)).collect()
    };
    assert_eq!(paid(address(80)), [(20, 511)]);
    assert_eq!(paid(address(81)), [(23, 189)]);
}

#[test]
fn an_empty_revenue_share_list_discards_the_claim() {
    let mut world = World::new();
    world.claims.push(claim(0, 10, "svc1", 10));
    let supplier = world.suppliers.get_mut(&address(10)).expect("made above");
    for update in &mut supplier.service_config_history {
        update.service.as_mut().expect("made above").rev_share.clear();
    }
    let outcome = world.settle();
    let Some(Event::ClaimDiscarded(discarded)) = outcome.events.first() else { panic!("{:?}", outcome.events) };
    assert!(discarded.error.contains("SHOULD NEVER HAPPEN: service \"svc1\" not found"), "{}", discarded.error);
    assert!(discarded.error.ends_with(
        ": constraint violation: internal token logic module error: failed to process token logic module: internal \
         claim settlement error"
    ));
    assert_eq!((outcome.discarded, outcome.bank.len()), (1, 0));
}

#[test]
fn claims_of_unknown_parties_are_discarded_with_the_chains_words() {
    let mut world = World::new();
    world.claims = vec![claim(5, 10, "svc1", 1), claim(0, 50, "svc1", 1), claim(0, 10, "svc9", 1)];
    for (index, claim) in world.claims.iter_mut().enumerate() {
        claim.session_header.as_mut().expect("made above").session_id = format!("session-{index}");
    }
    let outcome = world.settle();
    let errors: Vec<String> = outcome
        .events
        .iter()
        .filter_map(|event| match event {
            Event::ClaimDiscarded(discarded) => discarded.error.split("chain halt: ").nth(1).map(str::to_owned),
            _ => None,
        })
        .collect();
    assert_eq!(
        errors,
        [
            "application not found: internal claim settlement error",
            "supplier not found: internal claim settlement error",
            "service with ID \"svc9\" not found: service not found: internal claim settlement error",
        ]
    );
    assert_eq!((outcome.discarded, outcome.removed.len()), (3, 3));
}

#[test]
fn a_price_too_small_to_mint_discards_the_claim() {
    let mut world = World::new();
    world.tokenomics.mint_ratio = 0.000_01;
    world.claims.push(claim(0, 10, "svc1", 1));
    let outcome = world.settle();
    let Some(Event::ClaimDiscarded(discarded)) = outcome.events.first() else { panic!("{:?}", outcome.events) };
    assert!(
        discarded.error.contains("mint amount truncated to zero for settlement 4200 with mint_ratio 1e-05: "),
        "{}",
        discarded.error
    );
}

#[test]
fn impossible_states_are_refused() {
    let mut world = World::new();
    world.claims.push(claim(0, 10, "svc1", 1));
    world.applications.get_mut(&address(0)).expect("made above").stake = None;
    let refused = |world: &World| {
        settle(&SettlementInput {
            height: world.height,
            claims: &world.claims,
            shared: &world.shared,
            proof: &world.proof,
            tokenomics: &world.tokenomics,
            application_min_stake: Upokt::ZERO,
            supplier_min_stake: Upokt::ZERO,
            applications: &world.applications,
            suppliers: &world.suppliers,
            services: &world.services,
            block_hashes: &world.block_hashes,
            validators: &world.validators,
        })
        .expect_err("refused")
    };
    assert!(matches!(refused(&world), InputError::Stake { .. }));
    world.tokenomics.mint_ratio = f64::NAN;
    assert!(matches!(refused(&world), InputError::Param { name: "mint_ratio", .. }));
    world.tokenomics.mint_ratio = 1.0;
    world.tokenomics.mint_allocation.supplier = 1.5;
    assert!(matches!(refused(&world), InputError::Shares("mint_allocation_percentages")));
}

/// A valid address for each number.
fn address(number: u8) -> String {
    pocket_crypto::address::Address::from_bytes([number; 20]).to_string()
}

fn coin(amount: u64) -> Coin {
    Coin { denom: "upokt".to_owned(), amount: amount.to_string() }
}

fn application(number: u8) -> Application {
    Application { address: address(number), stake: Some(coin(1_000_000_000)), ..Application::default() }
}

fn supplier(number: u8) -> Supplier {
    let config = |service: &str| ServiceConfigUpdate {
        operator_address: address(number),
        service: Some(SupplierServiceConfig {
            service_id: service.to_owned(),
            endpoints: Vec::new(),
            rev_share: [(number, 34), (70, 33), (71, 33)]
                .map(|(to, percent)| ServiceRevenueShare { address: address(to), rev_share_percentage: percent })
                .into(),
        }),
        activation_height: 1,
        deactivation_height: 0,
    };
    Supplier {
        owner_address: address(number + 20),
        operator_address: address(number),
        stake: Some(coin(5_000)),
        service_config_history: vec![config("svc1"), config("svc2")],
        ..Supplier::default()
    }
}

fn service() -> ServiceFacts {
    let mut target = crate::mining::BASE_TARGET;
    target[0] = 0x7f;
    let harder = Difficulty { block_height: SESSION_END + 1, num_relays_ema: 1, target };
    ServiceFacts {
        owner_address: address(91),
        compute_units_per_relay: 100,
        compute_units_history: Vec::new(),
        difficulty_history: vec![DifficultyEntry { effective_height: SESSION_END + 1, difficulty: harder }],
    }
}

fn validator(number: u8, tokens: u128) -> Validator {
    Validator {
        operator_address: format!("valoper of {}", address(number)),
        account_address: address(number),
        bonded_tokens: Upokt(tokens),
        commission_rate: 0,
        delegations: Vec::new(),
    }
}

/// A validated claim of `relays` relays of 100 compute units.
fn claim(application: u8, supplier: u8, service: &str, relays: u64) -> Claim {
    let mut root_hash = vec![7; 32];
    root_hash.extend((relays * 100).to_be_bytes());
    root_hash.extend(relays.to_be_bytes());
    Claim {
        supplier_operator_address: address(supplier),
        session_header: Some(SessionHeader {
            application_address: address(application),
            service_id: service.to_owned(),
            session_id: "session".to_owned(),
            session_start_block_height: SESSION_END - 9,
            session_end_block_height: SESSION_END,
        }),
        root_hash,
        proof_validation_status: 1,
    }
}
