//! What the embedded engine promises about its folder.

use anyhow::ensure;
use pocket_runtime::net::{Listener, TcpListener, UnixListener};
use pocket_runtime::shutdown::Shutdown;
use pocket_store::{Durability, LeaseName, Namespace, Reading, Store, StoreError, StoreOptions};

use crate::world::{SUPPLIER, World, append_all, options};

crate::tests![
    a_folder_has_one_owner_whose_name_is_told,
    disk_durability_appends_too,
    a_running_owner_answers_reads_on_its_socket
];

async fn a_folder_has_one_owner_whose_name_is_told(world: World) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let owner = Store::disk(folder.path(), Some("127.0.0.1:4321"), options()).await?;
    let refused = Store::disk(folder.path(), None, options()).await;
    let Err(error @ StoreError::InUse { .. }) = refused else { anyhow::bail!("{refused:?}") };
    let said = error.to_string();
    ensure!(said.contains(&format!("process {}", std::process::id())), "{said}");
    ensure!(said.contains("127.0.0.1:4321") && said.contains("--data"), "{said}");
    let lock = pocket_store::lock::read(folder.path()).expect("an owner writes the lock file");
    ensure!(lock.admin.as_deref() == Some("127.0.0.1:4321"));
    drop((owner, world));
    Ok(())
}

async fn disk_durability_appends_too(world: World) -> anyhow::Result<()> {
    let disk = StoreOptions::new(Namespace::default(), Durability::Disk);
    let world = World::with(world.backend, disk).await?;
    append_all(&world.store, SUPPLIER, "s", 0..50).await?;
    let world = world.reopen().await?;
    ensure!(world.store.log_stats(SUPPLIER).await?.length == 50);
    Ok(())
}

async fn a_running_owner_answers_reads_on_its_socket(world: World) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("admin.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    let addresses = [tcp.local_addr().to_string(), socket.display().to_string()];
    let listeners: [Listener; 2] = [tcp.into(), UnixListener::bind(&socket)?.into()];
    for (listener, address) in listeners.into_iter().zip(addresses) {
        let data = folder.path().join(address.replace(['/', ':'], "_"));
        let owner = Store::disk(&data, Some(&address), options()).await?;
        append_all(&owner, SUPPLIER, "s", 0..3).await?;
        owner.lease_acquire(&LeaseName::Leader, "me", crate::world::SOON).await?;
        let _serving = pocket_store::admin::serve(owner.clone(), listener, Shutdown::never()).abort_on_drop();

        let reading = Reading::folder(&data, options()).await?;
        ensure!(matches!(reading, Reading::Remote(_)), "{reading:?}");
        ensure!(reading.ledger(None).await? == owner.ledger(None).await?);
        ensure!(reading.keys("ha:*", true).await? == owner.keys("ha:*", true).await?);
        ensure!(reading.known_suppliers().await? == [SUPPLIER]);
        ensure!(reading.log_stats(SUPPLIER).await?.length == 3);
        ensure!(reading.leader().await?.is_some_and(|leader| leader.holder == "me"));
        ensure!(reading.owner(SUPPLIER).await?.is_none());
        ensure!(reading.sessions(SUPPLIER).await?.is_empty());
    }
    let nowhere = Reading::folder(&folder.path().join("nowhere"), options()).await;
    ensure!(matches!(&nowhere, Err(error) if error.to_string().contains("--data")), "{nowhere:?}");
    drop(world);
    Ok(())
}
