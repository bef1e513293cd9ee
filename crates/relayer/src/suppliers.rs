//! Which suppliers may be served for: the keys held here, and what miners have registered.
//!
//! The registry is read whole at start and then kept up by the store's events; a relay looks at it without a query, and
//! a store that is away changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use pocket_chain::Keys;
use pocket_store::{Store, StoreError, SupplierState, SupplierStatus};

use crate::rejection::Rejection;

/// The suppliers known here.
pub(crate) struct Suppliers {
    pub(crate) keys: Keys,
    registry: ArcSwap<BTreeMap<String, Entry>>,
}

/// What the registry says of a supplier.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    State { staked: bool, status: SupplierStatus, services: BTreeSet<String> },
    Unreadable,
}

impl Suppliers {
    pub(crate) fn new(keys: Keys) -> Self {
        Self { keys, registry: ArcSwap::default() }
    }

    /// Reads the whole registry.
    pub(crate) async fn reload(&self, store: &Store) -> Result<(), StoreError> {
        match store.suppliers().await {
            Ok(states) => {
                let entries = states.into_iter().map(|state| (state.operator_address.clone(), Entry::of(state)));
                self.registry.store(Arc::new(entries.collect()));
                Ok(())
            }
            // One broken record must not hide the others: look at our own, one by one.
            Err(StoreError::Corrupt { .. }) => {
                for supplier in self.keys.addresses() {
                    self.reload_one(store, supplier).await?;
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads one supplier's entry again.
    pub(crate) async fn reload_one(&self, store: &Store, supplier: &str) -> Result<(), StoreError> {
        let entry = match store.supplier(supplier).await {
            Ok(state) => state.map(Entry::of),
            Err(StoreError::Corrupt { .. }) => Some(Entry::Unreadable),
            Err(error) => return Err(error),
        };
        let mut registry = BTreeMap::clone(&self.registry.load());
        match entry {
            Some(entry) => registry.insert(supplier.to_owned(), entry),
            None => registry.remove(supplier),
        };
        self.registry.store(Arc::new(registry));
        Ok(())
    }

    /// Decides by registry and keys whether a supplier may be served for at all (relayer §2.2). That its key is held is
    /// asked later, where the reference asks it.
    pub(crate) fn check(&self, supplier: &str, service: &str) -> Result<(), Rejection> {
        let registry = self.registry.load();
        match registry.get(supplier) {
            None if self.keys.get(supplier).is_some() => Ok(()),
            None => Err(Rejection::SupplierUnknown(supplier.to_owned())),
            Some(Entry::Unreadable) => Err(Rejection::SupplierUnreadable),
            Some(Entry::State { staked, status, services }) => {
                if !staked || *status == SupplierStatus::NotStaked {
                    let status = if *staked { *status } else { SupplierStatus::NotStaked }.word();
                    return Err(Rejection::SupplierInactive { supplier: supplier.to_owned(), status });
                }
                if services.is_empty() {
                    return Err(Rejection::SupplierWithoutServices(supplier.to_owned()));
                }
                if !services.contains(service) {
                    let (supplier, service) = (supplier.to_owned(), service.to_owned());
                    return Err(Rejection::SupplierNotForService { supplier, service });
                }
                Ok(())
            }
        }
    }
}

impl Entry {
    fn of(state: SupplierState) -> Self {
        let services = state.services.unwrap_or_default().into_iter().collect();
        Self::State { staked: state.staked, status: state.status, services }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pocket_crypto::keys::SecretKey;

    fn suppliers(entry: Option<Entry>) -> (Suppliers, String) {
        let key = SecretKey::from_secret(b"a supplier of this test");
        let address = key.address().to_string();
        let suppliers = Suppliers::new(Keys::of([key]));
        suppliers.registry.store(Arc::new(entry.map(|entry| (address.clone(), entry)).into_iter().collect()));
        (suppliers, address)
    }

    fn state(staked: bool, status: SupplierStatus, services: &[&str]) -> Entry {
        Entry::State { staked, status, services: services.iter().map(|&service| service.to_owned()).collect() }
    }

    #[track_caller]
    fn check(entry: Option<Entry>, reason: Option<&str>) {
        let (suppliers, address) = suppliers(entry);
        assert_eq!(suppliers.check(&address, "eth").err().map(|rejection| rejection.face().reference), reason);
    }

    #[test]
    fn the_registry_decides_where_it_has_an_entry() {
        check(Some(state(true, SupplierStatus::Active, &["eth"])), None);
        check(Some(state(true, SupplierStatus::Unstaking, &["eth"])), None);
        check(Some(state(false, SupplierStatus::NotStaked, &["eth"])), Some("supplier_inactive"));
        check(Some(state(true, SupplierStatus::NotStaked, &["eth"])), Some("supplier_inactive"));
        check(Some(state(true, SupplierStatus::Unstaking, &[])), Some("no_services"));
        check(Some(state(true, SupplierStatus::Active, &["other"])), Some("wrong_service"));
        check(Some(Entry::Unreadable), Some("supplier_cache_error"));
    }

    #[test]
    fn without_an_entry_the_key_decides() {
        check(None, None);
        let rejection = suppliers(None).0.check("pokt1stranger", "eth").expect_err("refused");
        assert_eq!(rejection.face().reference, "supplier_not_found");
    }
}
