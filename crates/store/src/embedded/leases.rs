//! Leases of one process: who holds them is forgotten with the process, the epochs are not.

use std::time::Duration;

use pocket_runtime::clock;

use super::kv::Batch;
use super::{Embedded, HeldLease, Own, State, put_row};
use crate::error::{LeaseError, StoreError};
use crate::lease::{Lease, LeaseInfo, LeaseName};

impl State {
    fn lease_epoch(&self, name: &LeaseName) -> u64 {
        match name {
            LeaseName::Supplier(supplier) => self.epoch(supplier),
            LeaseName::Leader => self.leader_epoch,
        }
    }
}

impl Embedded {
    pub(crate) async fn lease_acquire(
        &self,
        name: &LeaseName,
        holder: &str,
        ttl: Duration,
    ) -> Result<Lease, LeaseError> {
        let now = clock::now();
        let epoch = {
            let mut state = self.lock();
            let epoch = state.lease_epoch(name);
            if let Some(held) = state.leases.get(name)
                && held.until > now
                && held.holder != holder
            {
                return Err(LeaseError::Held { holder: held.holder.clone(), epoch });
            }
            let epoch = epoch + 1;
            let mut batch = Batch::default();
            match name {
                LeaseName::Supplier(supplier) => {
                    let log = state.log(supplier);
                    put_row(&mut batch, supplier, &log.counters, Own { epoch, ..log.own() });
                    self.inner.kv.write(batch)?;
                    log.epoch = epoch;
                }
                LeaseName::Leader => {
                    put_row(&mut batch, "", &std::collections::BTreeMap::new(), Own { epoch, ..Own::default() });
                    self.inner.kv.write(batch)?;
                    state.leader_epoch = epoch;
                }
            }
            state.leases.insert(name.clone(), HeldLease { holder: holder.to_owned(), until: now + ttl });
            epoch
        };
        self.settle().await?;
        Ok(Lease { name: name.clone(), holder: holder.to_owned(), epoch })
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<(), LeaseError> {
        let mut state = self.lock();
        let current = state.lease_epoch(&lease.name);
        match state.leases.get_mut(&lease.name) {
            Some(held) if current == lease.epoch && held.holder == lease.holder => {
                held.until = clock::now() + ttl;
                Ok(())
            }
            _ => Err(LeaseError::Lost { presented: lease.epoch, current }),
        }
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.lease_epoch(&lease.name) == lease.epoch {
            state.leases.remove(&lease.name);
        }
        Ok(())
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn lease(&self, name: &LeaseName) -> Result<Option<LeaseInfo>, StoreError> {
        let now = clock::now();
        let state = self.lock();
        let held = state.leases.get(name).filter(|held| held.until > now);
        Ok(held.map(|held| LeaseInfo {
            holder: held.holder.clone(),
            epoch: state.lease_epoch(name),
            remaining: held.until - now,
        }))
    }
}
