//! A network in a folder: it goes on, and has one owner.

use pocket_localnet::{Ports, StartError};

use crate::world::{self, options};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_from_the_same_chain_and_settles_what_waited() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world::start(options(Some(folder.path()))).await.expect("a network");
    for id in 1..=20 {
        world.relay(id).await;
    }
    let before = world.running.chain.state().height;
    let summary = world.stop().await;
    assert!(summary.kept);
    let ledger = summary.ledger.expect("a ledger");
    assert_eq!(ledger.served, 20, "{ledger:?}");
    assert!(ledger.balances(), "{:?}", ledger.differences());

    let world = world::start(options(Some(folder.path()))).await.expect("again");
    let after = world.running.chain.state().height;
    assert!(after >= before.max(summary.height), "{after} after {before} and {}", summary.height);
    for id in 21..=30 {
        world.relay(id).await;
    }
    world.settled(30).await;
    let ledger = world.stop().await.ledger.expect("a ledger");
    assert!(ledger.balances(), "{:?}", ledger.differences());
    assert_eq!(ledger.upokt.paid, 30 * 1000 * 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_of_a_folder_is_refused_and_told_who_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world::start(options(Some(folder.path()))).await.expect("a network");
    let refused = world::start(options(Some(folder.path()))).await.err().expect("refused");
    let text = pocket_runtime::process::chain(&refused);
    assert!(text.contains("in use") && text.contains(&std::process::id().to_string()), "{text}");
    world.relay(1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_what_is_in_its_genesis() {
    let folder = tempfile::tempdir().expect("a folder");
    world::start(options(Some(folder.path()))).await.expect("a network").stop().await;
    let refused = |change: fn(&mut pocket_localnet::Options)| {
        let mut wanted = options(Some(folder.path()));
        change(&mut wanted);
        async move {
            let refused = world::start(wanted).await.err().expect("refused");
            assert!(matches!(refused, StartError::Folder(_)), "{refused}");
            refused.to_string()
        }
    };
    let profile = refused(|wanted| wanted.profile = "load".to_owned()).await;
    assert!(profile.contains("--profile seed"), "{profile}");
    let seed = refused(|wanted| wanted.seed = 8).await;
    assert!(seed.contains("--seed 7"), "{seed}");
    let ports = refused(|wanted| wanted.ports = Ports::Offset(1)).await;
    assert!(ports.contains("--ports auto"), "{ports}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let world = world::start(options(Some(folder.path()))).await.expect("a network");
    let files: Vec<_> = std::fs::read_dir(folder.path().join("keys")).expect("keys").collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let mode = file.expect("a file").metadata().expect("its rights").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    world.stop().await;
}
