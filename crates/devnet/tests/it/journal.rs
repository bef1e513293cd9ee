//! A chain with a data folder: what survives, and what is refused.

use std::path::{Path, PathBuf};

use pocket_devnet::{StartError, open};

use crate::support::{Net, settings};

fn opened(folder: &Path, more: &str) -> (Net, Option<pocket_runtime::fs::Lock>) {
    let opened = open(&settings(folder, more)).unwrap();
    (Net::over(opened.chain), opened.lock)
}

/// What must be as before after a restart.
fn picture(net: &Net) -> (i64, Option<[u8; 32]>, [u8; 32], Vec<u128>, usize) {
    let state = net.chain.state();
    let hash = net.chain.block(None).ok().map(|block| block.id.hash);
    let balances = ["app1", "app2", "supplier1", "pnf"].iter().map(|name| net.balance(name)).collect();
    (state.height, hash, state.app_hash, balances, state.claims.size())
}

fn files(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|one| one == kind)).collect();
    files.sort();
    files
}

fn bytes_in(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// A little life: a transfer, a claim, a changed parameter.
fn live(net: &mut Net) {
    net.make_until(11);
    let mut work = net.work(&net.session(5), "supplier1", 3);
    let claim = net.claim(&mut work);
    assert_eq!(net.deliver("supplier1", claim).code, 0);
    let message = net.send("app1", "app2", 123);
    assert_eq!(net.deliver("app1", message).code, 0);
    let param = pocket_proto::pocket::shared::MsgUpdateParam {
        authority: pocket_crypto::address::Address::module("gov").to_string(),
        name: "num_blocks_per_session".to_owned(),
        as_type: Some(pocket_proto::pocket::shared::msg_update_param::AsType::AsUint64(12)),
    };
    net.chain.govern(vec![pocket_proto::any(&param)]).unwrap();
    net.make_until(15);
}

#[test]
fn a_chain_goes_on_where_it_was_whatever_is_replayed() {
    for checkpoint_blocks in [1000, 6, 1] {
        let folder = tempfile::tempdir().unwrap();
        let more = format!(", \"limits\": {{\"checkpoint_blocks\": {checkpoint_blocks}}}");
        let (mut net, lock) = opened(folder.path(), &more);
        live(&mut net);
        let before = picture(&net);
        let block = net.chain.block(Some(12)).unwrap();
        // Nothing is closed or written at the end: dropping is all that a kill leaves time for.
        drop((net, lock));
        let (net, _lock) = opened(folder.path(), &more);
        assert_eq!(picture(&net), before, "checkpoints every {checkpoint_blocks}");
        let again = net.chain.block(Some(12)).unwrap();
        assert_eq!((again.id, &again.results, &again.header), (block.id, &block.results, &block.header));
        let (ours, theirs): (Vec<_>, Vec<_>) = (again.events().collect(), block.events().collect());
        assert_eq!(ours, theirs);
        assert!(net.chain.tx(&block.tx_hashes[0]).is_some());
        net.make_until(40);
        assert!(net.chain.state().claims.is_empty(), "the claim was dealt with after the restart");
    }
}

#[test]
fn a_restarted_chain_makes_the_blocks_it_would_have_made() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (mut straight, _lock) = opened(folders[0].path(), "");
    live_empty(&mut straight, 30);
    let (mut broken, lock) = opened(folders[1].path(), "");
    live_empty(&mut broken, 17);
    drop((broken, lock));
    let (mut broken, _lock) = opened(folders[1].path(), "");
    live_empty(&mut broken, 30);
    assert_eq!(picture(&straight), picture(&broken));
}

fn live_empty(net: &mut Net, height: i64) {
    net.make_until(height);
}

#[test]
fn a_torn_tail_is_cut_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (net, lock) = opened(folder.path(), "");
    net.make_until(9);
    let ninth = picture(&net);
    let eighth = net.chain.block(Some(8)).unwrap().id.hash;
    drop((net, lock));
    let log = files(folder.path(), "blocks").pop().unwrap();
    let whole = std::fs::read(&log).unwrap();
    for cut in [1, 5, 11, 12, 40, 200] {
        std::fs::write(&log, &whole[..whole.len() - cut]).unwrap();
        let (net, lock) = opened(folder.path(), "");
        assert_eq!(net.chain.height(), 8, "cut by {cut}");
        assert_eq!(net.chain.block(None).unwrap().id.hash, eighth);
        net.make_until(9);
        assert_eq!(picture(&net), ninth, "the same block again");
        drop((net, lock));
    }
    // Rubbish at the end, as a disk that lost power may leave it.
    let mut rubbish = whole.clone();
    rubbish.extend_from_slice(&[0; 4096]);
    std::fs::write(&log, &rubbish).unwrap();
    let (net, _lock) = opened(folder.path(), "");
    assert_eq!(picture(&net), ninth);
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let more = ", \"limits\": {\"checkpoint_blocks\": 4}";
    let (mut net, lock) = opened(folder.path(), more);
    live(&mut net);
    let before = picture(&net);
    drop((net, lock));
    let newest = files(folder.path(), "checkpoint").pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let (net, _lock) = opened(folder.path(), more);
    assert_eq!(picture(&net), before);
}

#[test]
fn damage_in_the_middle_is_named_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let more = ", \"limits\": {\"checkpoint_blocks\": 5}";
    let (net, lock) = opened(folder.path(), more);
    net.make_until(12);
    drop((net, lock));
    let first = files(folder.path(), "blocks").remove(0);
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    let error = open(&settings(folder.path(), more)).unwrap_err();
    assert!(matches!(error, StartError::Journal(_)));
    assert!(error.to_string().contains("is damaged at byte 0"), "{error}");
}

#[test]
fn the_folder_of_another_chain_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (net, lock) = opened(folder.path(), "");
    net.make_until(3);
    drop((net, lock));
    let error = open(&settings(folder.path(), ", \"seed\": 2")).unwrap_err();
    assert!(error.to_string().contains("holds another chain"), "{error}");
    let error = open(&settings(folder.path(), ", \"profile\": \"load\"")).unwrap_err();
    assert!(error.to_string().contains("holds another chain"), "{error}");
}

#[test]
fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (_net, _lock) = opened(folder.path(), "");
    let error = open(&settings(folder.path(), "")).unwrap_err();
    assert!(matches!(error, StartError::Locked(_)), "{error}");
}

#[test]
fn a_restored_snapshot_is_what_survives() {
    let folder = tempfile::tempdir().unwrap();
    let more = ", \"limits\": {\"checkpoint_blocks\": 4}";
    let (mut net, lock) = opened(folder.path(), more);
    net.make_until(10);
    let at_ten = picture(&net);
    let (id, _) = net.chain.snapshot();
    live(&mut net);
    let undone = net.chain.block(Some(11)).unwrap().id;
    net.chain.restore(&id).unwrap();
    assert_eq!(picture(&net), at_ten);
    drop((net, lock));
    let (net, lock) = opened(folder.path(), more);
    net.make_until(12);
    assert_ne!(net.chain.block(Some(11)).unwrap().id, undone, "another history, although the process is another too");
    let at_twelve = picture(&net);
    drop((net, lock));
    let (net, _lock) = opened(folder.path(), more);
    assert_eq!(picture(&net), at_twelve);
    assert_eq!(net.chain.block(Some(3)).unwrap().height(), 3, "blocks before the snapshot are still there");
}

#[test]
fn the_folder_stays_flat() {
    let folder = tempfile::tempdir().unwrap();
    let more = ", \"limits\": {\"checkpoint_blocks\": 200, \"blocks_kept\": 400}";
    let (net, lock) = opened(folder.path(), more);
    net.make_until(1_500);
    let early = bytes_in(folder.path());
    net.make_until(6_000);
    let late = bytes_in(folder.path());
    println!("{early} bytes at 1500, {late} at 6000");
    // Each height's block hash is part of the state for 10,000 heights, in two checkpoints.
    assert!(late < early + 2 * 45 * 4_500, "{early} bytes at 1500, {late} at 6000");
    assert!(files(folder.path(), "checkpoint").len() <= 2);
    assert!(files(folder.path(), "blocks").len() <= 4);
    drop((net, lock));
    let (net, _lock) = opened(folder.path(), more);
    assert_eq!(net.chain.height(), 6_000);
    assert!(net.chain.block(Some(5_700)).is_ok());
}

#[test]
fn a_snapshot_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let more = ", \"limits\": {\"checkpoint_blocks\": 4, \"snapshots_max\": 2}";
    let (mut net, lock) = opened(folder.path(), more);
    live(&mut net);
    let (first, _) = net.chain.snapshot();
    let (id, height) = net.chain.snapshot();
    let kept = picture(&net);
    net.make_until(30);
    drop((net, lock));
    let (net, lock) = opened(folder.path(), more);
    assert_eq!(net.chain.status().snapshots, [first.clone(), id.clone()]);
    assert_eq!(net.chain.restore(&id).unwrap(), height);
    assert_eq!(picture(&net), kept);
    let (third, _) = net.chain.snapshot();
    assert_eq!(net.chain.status().snapshots, [id.clone(), third], "the oldest is gone");
    net.make_until(height + 2);
    let later = picture(&net);
    drop((net, lock));
    let (net, _lock) = opened(folder.path(), more);
    assert_eq!(picture(&net), later);
    assert!(net.chain.restore(&first).is_err());
    // A file that was damaged is named instead of believed.
    let file = folder.path().join(format!("{id}.snapshot"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let error = net.chain.restore(&id).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("is damaged"), "{cause}");
    assert_eq!(picture(&net), later, "nothing has changed");
}
