//! Leaves, session records and leases.

use std::time::Duration;

use bytes::Bytes;
use redis::Value;

use super::{Redis, fenced, scripts, values};
use crate::error::{CommitError, LeaseError, PutError, StoreError};
use crate::leaf::{CommitBatch, CommitOutcome, LeafStatus, PackedLeaf};
use crate::lease::{Lease, LeaseInfo, LeaseName};
use crate::ledger::Count;
use crate::relay::MinedRelay;
use crate::session::{SessionRecord, StoredSession};

/// Leaves read at a time.
const LEAVES_PAGE: usize = 10_000;

fn encode(record: &SessionRecord) -> Vec<u8> {
    // The revision is kept beside the record, so that a repeated write is the same bytes.
    let record = SessionRecord { revision: 0, ..record.clone() };
    serde_json::to_vec(&record).expect("a record has text keys only, so it is always JSON")
}

/// Reads a record, its revision and its number of leaves.
pub(super) fn decode(key: &str, record: Value, revision: Value, leaves: Value) -> Result<StoredSession, StoreError> {
    let record = values::bytes(record).ok_or_else(|| StoreError::corrupt(key, "it has no record"))?;
    let mut record: SessionRecord = serde_json::from_slice(&record).map_err(|error| StoreError::corrupt(key, error))?;
    let number = |value| values::text(value).and_then(|text| text.parse().ok()).unwrap_or(0);
    record.revision = number(revision);
    Ok(StoredSession { record, leaves: number(leaves) })
}

impl Redis {
    pub(crate) async fn commit(&self, batch: CommitBatch) -> Result<CommitOutcome, CommitError> {
        let header = &batch.header;
        let (supplier, session) = (header.supplier.as_str(), header.session.as_str());
        let names = &self.names;
        self.know(supplier).await?;
        let keys = [
            names.stream(supplier),
            names.leaf(supplier, session),
            names.leaf_bytes(supplier, session),
            names.session(supplier, session),
            names.sessions(supplier),
            names.ledger(supplier),
            names.epoch(supplier),
        ];
        let mut call = scripts::call(&self.scripts.commit, keys.iter().map(String::as_str));
        call.arg(names.consumer_group()).arg(batch.epoch).arg(session).arg(encode(&SessionRecord::open(header)));
        call.arg(batch.leaves.len());
        for leaf in &batch.leaves {
            call.arg(&leaf.path[..]).arg(&PackedLeaf::pack(leaf)[..]).arg(leaf.entry.to_string());
        }
        call.arg(batch.rejected.len());
        for rejected in &batch.rejected {
            call.arg(rejected.entry.to_string()).arg(rejected.reason);
        }
        let mut commands = redis::pipe();
        commands.add_command(call);
        // No wait for the disk: a commit that it loses was appended before, and comes again.
        let (answer,): (Vec<String>,) = self.run("commit leaves", &commands).await?;
        match answer.as_slice() {
            [word, statuses, rejected, leaves] if word == "ok" => {
                let number = |text: &str| text.parse().unwrap_or(0);
                let mut outcome = CommitOutcome {
                    rejected: number(rejected),
                    session_leaves: number(leaves),
                    ..CommitOutcome::default()
                };
                for status in statuses.bytes() {
                    outcome.push(match status {
                        b'n' => LeafStatus::New,
                        b'c' => LeafStatus::Collapsed,
                        b'r' => LeafStatus::Repeated,
                        _ => LeafStatus::Missing,
                    });
                }
                Ok(outcome)
            }
            [word, current] if word == "fenced" => Err(fenced(supplier, batch.epoch, current).into()),
            [word] if word == "sealed" => Err(CommitError::Sealed { session: session.to_owned() }),
            _ => Err(StoreError::corrupt(names.leaf(supplier, session), "the commit's answer makes no sense").into()),
        }
    }

    pub(crate) async fn leaves(&self, supplier: &str, session: &str) -> Result<Vec<PackedLeaf>, StoreError> {
        let key = self.names.leaf(supplier, session);
        let mut leaves = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let mut commands = redis::pipe();
            commands.cmd("HSCAN").arg(&key).arg(&cursor).arg("COUNT").arg(LEAVES_PAGE);
            let (answer,): (Value,) = self.run("read leaves", &commands).await?;
            let mut parts = values::list(answer).into_iter();
            cursor = parts.next().and_then(values::text).unwrap_or_else(|| "0".to_owned());
            let mut rows = values::list(parts.next().unwrap_or_default()).into_iter();
            while let (Some(path), Some(packed)) = (rows.next(), rows.next()) {
                let (path, packed) =
                    (values::bytes(path).unwrap_or_default(), values::bytes(packed).unwrap_or_default());
                let leaf = PackedLeaf::unpack(&path, &packed);
                leaves.push(leaf.ok_or_else(|| StoreError::corrupt(&key, "a leaf has the wrong length"))?);
            }
            if cursor == "0" {
                break;
            }
        }
        // A scan gives no order, and may give a leaf twice while the hash grows.
        leaves.sort_unstable_by_key(|leaf| leaf.path);
        leaves.dedup_by_key(|leaf| leaf.path);
        Ok(leaves)
    }

    pub(crate) async fn leaf_bytes(
        &self,
        supplier: &str,
        session: &str,
        path: &[u8; 32],
    ) -> Result<Option<Bytes>, StoreError> {
        let key = self.names.leaf_bytes(supplier, session);
        let mut commands = redis::pipe();
        commands.cmd("HGET").arg(&key).arg(&path[..]);
        let (answer,): (Value,) = self.run("read a leaf's bytes", &commands).await?;
        let Some(data) = values::bytes(answer) else { return Ok(None) };
        let relay = MinedRelay::parse(data).map_err(|error| StoreError::corrupt(&key, error))?;
        Ok(Some(relay.relay_bytes))
    }

    pub(crate) async fn session_put(
        &self,
        record: &SessionRecord,
        epoch: u64,
        expected: u64,
        counts: &[Count],
    ) -> Result<u64, PutError> {
        let (supplier, session) = (record.supplier.as_str(), record.session.as_str());
        let names = &self.names;
        self.know(supplier).await?;
        let keys =
            [names.session(supplier, session), names.sessions(supplier), names.ledger(supplier), names.epoch(supplier)];
        let mut call = scripts::call(&self.scripts.session_put, keys.iter().map(String::as_str));
        call.arg(epoch).arg(expected).arg(u8::from(record.state.is_sealed())).arg(encode(record)).arg(session);
        for count in counts {
            for field in count.fields() {
                call.arg(field).arg(count.by);
            }
        }
        let mut commands = redis::pipe();
        commands.add_command(call);
        let answer = self.run_durable("write a session's record", commands).await?;
        let answer: Vec<String> = values::list(answer).into_iter().filter_map(values::text).collect();
        match answer.as_slice() {
            [word, revision] if word == "ok" => Ok(revision.parse().unwrap_or(expected + 1)),
            [word, current] if word == "fenced" => Err(fenced(supplier, epoch, current).into()),
            [_, current] => {
                Err(PutError::Conflict { session: session.to_owned(), expected, current: current.parse().unwrap_or(0) })
            }
            _ => Err(StoreError::corrupt(&keys[0], "the write's answer makes no sense").into()),
        }
    }

    pub(crate) async fn session(&self, supplier: &str, session: &str) -> Result<Option<StoredSession>, StoreError> {
        let key = self.names.session(supplier, session);
        let mut commands = redis::pipe();
        commands.cmd("HMGET").arg(&key).arg("record").arg("revision");
        commands.cmd("HLEN").arg(self.names.leaf(supplier, session));
        let (fields, leaves): (Value, Value) = self.run("read a session's record", &commands).await?;
        let mut fields = values::list(fields).into_iter();
        match (fields.next(), fields.next()) {
            (Some(Value::Nil) | None, _) => Ok(None),
            (Some(record), revision) => decode(&key, record, revision.unwrap_or_default(), leaves).map(Some),
        }
    }

    pub(crate) async fn sessions(&self, supplier: &str) -> Result<Vec<StoredSession>, StoreError> {
        let (_, _, mut sessions) = self.measure(supplier).await?;
        sessions.sort_by(|a, b| a.record.session.cmp(&b.record.session));
        Ok(sessions)
    }

    pub(crate) async fn forget_session(&self, supplier: &str, session: &str, epoch: u64) -> Result<(), PutError> {
        let names = &self.names;
        let keys = [
            names.session(supplier, session),
            names.sessions(supplier),
            names.leaf(supplier, session),
            names.leaf_bytes(supplier, session),
            names.epoch(supplier),
        ];
        let mut call = scripts::call(&self.scripts.forget, keys.iter().map(String::as_str));
        call.arg(epoch).arg(session);
        let mut commands = redis::pipe();
        commands.add_command(call);
        let (answer,): (Vec<String>,) = self.run("forget a session", &commands).await?;
        match answer.as_slice() {
            [word, current] if word == "fenced" => Err(fenced(supplier, epoch, current).into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn close_sessions(&self, supplier: &str, end_height: i64, epoch: u64) -> Result<(), PutError> {
        let keys = [self.names.closed(supplier), self.names.epoch(supplier)];
        let mut call = scripts::call(&self.scripts.close, keys.iter().map(String::as_str));
        call.arg(epoch).arg(end_height);
        let mut commands = redis::pipe();
        commands.add_command(call);
        let (answer,): (Vec<String>,) = self.run("close sessions", &commands).await?;
        match answer.as_slice() {
            [word, current] if word == "fenced" => Err(fenced(supplier, epoch, current).into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn closed_sessions(&self, supplier: &str) -> Result<i64, StoreError> {
        let mut commands = redis::pipe();
        commands.cmd("GET").arg(self.names.closed(supplier));
        let (end,): (Option<i64>,) = self.run("read which sessions are closed", &commands).await?;
        Ok(end.unwrap_or(0))
    }

    fn lease_keys(&self, name: &LeaseName) -> [String; 2] {
        match name {
            LeaseName::Supplier(supplier) => [self.names.lease(supplier), self.names.epoch(supplier)],
            LeaseName::Leader => [self.names.leader_lease(), self.names.leader_epoch()],
        }
    }

    pub(crate) async fn lease_acquire(
        &self,
        name: &LeaseName,
        holder: &str,
        ttl: Duration,
    ) -> Result<Lease, LeaseError> {
        if let LeaseName::Supplier(supplier) = name {
            self.know(supplier).await?;
        }
        let keys = self.lease_keys(name);
        let mut call = scripts::call(&self.scripts.lease_acquire, keys.iter().map(String::as_str));
        call.arg(holder).arg(milliseconds(ttl));
        let mut commands = redis::pipe();
        commands.add_command(call);
        let (answer,): (Vec<String>,) = self.run("take a lease", &commands).await?;
        let number = |text: &str| text.parse().unwrap_or(0);
        match answer.as_slice() {
            [word, epoch] if word == "ok" => {
                Ok(Lease { name: name.clone(), holder: holder.to_owned(), epoch: number(epoch) })
            }
            [_, holder, epoch] => Err(LeaseError::Held { holder: holder.clone(), epoch: number(epoch) }),
            _ => Err(StoreError::corrupt(&keys[0], "the lease's answer makes no sense").into()),
        }
    }

    pub(crate) async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<(), LeaseError> {
        let keys = self.lease_keys(&lease.name);
        let mut call = scripts::call(&self.scripts.lease_renew, keys.iter().map(String::as_str));
        call.arg(&lease.holder).arg(lease.epoch).arg(milliseconds(ttl));
        let mut commands = redis::pipe();
        commands.add_command(call);
        let (answer,): (Vec<String>,) = self.run("renew a lease", &commands).await?;
        match answer.as_slice() {
            [word, current] if word == "lost" => {
                Err(LeaseError::Lost { presented: lease.epoch, current: current.parse().unwrap_or(0) })
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError> {
        let keys = self.lease_keys(&lease.name);
        let mut call = scripts::call(&self.scripts.lease_release, keys.iter().map(String::as_str));
        call.arg(&lease.holder).arg(lease.epoch);
        let mut commands = redis::pipe();
        commands.add_command(call).ignore();
        self.run("give a lease back", &commands).await
    }

    pub(crate) async fn lease(&self, name: &LeaseName) -> Result<Option<LeaseInfo>, StoreError> {
        let [lease, epoch] = self.lease_keys(name);
        let mut commands = redis::pipe();
        commands.atomic().cmd("GET").arg(&lease).cmd("PTTL").arg(&lease).cmd("GET").arg(&epoch);
        let (holder, remaining, epoch): (Option<String>, i64, Option<u64>) =
            self.run("read a lease", &commands).await?;
        Ok(holder.map(|holder| LeaseInfo {
            holder,
            epoch: epoch.unwrap_or(0),
            remaining: Duration::from_millis(u64::try_from(remaining).unwrap_or(0)),
        }))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}
