//! The applications and suppliers that claims name, as settlement changes them.

use std::collections::BTreeMap;

use pocket_proto::cosmos::base::v1beta1::Coin;
use pocket_proto::pocket::application::Application;
use pocket_proto::pocket::shared::Supplier;

use super::input::{InputError, SettlementInput};
use super::outcome::{ApplicationChange, SupplierChange};
use super::refusal;
use crate::coin::DENOM;
use crate::error::ChainError;
use crate::{Upokt, height};

/// Records in the order in which claims first named them.
pub(super) struct Books<'a> {
    input: &'a SettlementInput<'a>,
    applications: Vec<ApplicationRecord>,
    applications_by_address: BTreeMap<String, usize>,
    suppliers: Vec<SupplierRecord>,
    suppliers_by_operator: BTreeMap<String, usize>,
}

/// An application with its stake as a number. `message.stake` follows it.
pub(super) struct ApplicationRecord {
    pub(super) message: Application,
    pub(super) stake: Upokt,
    /// Stake before this settlement: budgets are shares of it, whatever was burned meanwhile.
    pub(super) initial_stake: Upokt,
    changed: bool,
}

/// A supplier with the service configurations of the claims seen so far, and without its history.
pub(super) struct SupplierRecord {
    pub(super) message: Supplier,
    pub(super) stake: Upokt,
    changed: bool,
}

impl ApplicationRecord {
    pub(super) fn set_stake(&mut self, stake: Upokt) {
        self.stake = stake;
        self.message.stake = Some(coin(stake));
        self.changed = true;
    }

    pub(super) fn set_unbonding(&mut self, session_end: u64) {
        self.message.unstake_session_end_height = session_end;
        self.changed = true;
    }
}

impl SupplierRecord {
    pub(super) fn set_stake(&mut self, stake: Upokt) {
        self.stake = stake;
        self.message.stake = Some(coin(stake));
        self.changed = true;
    }

    pub(super) fn set_unbonding(&mut self, session_end: u64) {
        self.message.unstake_session_end_height = session_end;
        self.changed = true;
    }
}

impl<'a> Books<'a> {
    pub(super) fn new(input: &'a SettlementInput<'a>) -> Self {
        Self {
            input,
            applications: Vec::new(),
            applications_by_address: BTreeMap::new(),
            suppliers: Vec::new(),
            suppliers_by_operator: BTreeMap::new(),
        }
    }

    pub(super) fn application(&self, index: usize) -> &ApplicationRecord {
        &self.applications[index]
    }

    pub(super) fn application_mut(&mut self, index: usize) -> &mut ApplicationRecord {
        &mut self.applications[index]
    }

    pub(super) fn supplier(&self, index: usize) -> &SupplierRecord {
        &self.suppliers[index]
    }

    pub(super) fn supplier_mut(&mut self, index: usize) -> &mut SupplierRecord {
        &mut self.suppliers[index]
    }

    /// Returns the index of a supplier that a claim named before.
    pub(super) fn known_supplier(&self, operator: &str) -> Option<usize> {
        self.suppliers_by_operator.get(operator).copied()
    }

    /// Finds an application, opening its record the first time.
    pub(super) fn open_application(&mut self, address: &str) -> Result<Result<usize, ChainError>, InputError> {
        if let Some(&index) = self.applications_by_address.get(address) {
            return Ok(Ok(index));
        }
        let Some(application) = self.input.applications.get(address) else {
            return Ok(Err(refusal::APPLICATION_NOT_FOUND.bare()));
        };
        let stake = amount(address, application.stake.as_ref())?;
        let index = self.applications.len();
        self.applications.push(ApplicationRecord {
            message: application.clone(),
            stake,
            initial_stake: stake,
            changed: false,
        });
        self.applications_by_address.insert(address.to_owned(), index);
        Ok(Ok(index))
    }

    /// Finds a supplier, opening its record the first time, and adds its active configurations for `service_id`.
    pub(super) fn open_supplier(
        &mut self,
        operator: &str,
        service_id: &str,
    ) -> Result<Result<usize, ChainError>, InputError> {
        let Some(supplier) = self.input.suppliers.get(operator) else {
            return Ok(Err(refusal::SUPPLIER_NOT_FOUND.bare()));
        };
        let index = if let Some(index) = self.known_supplier(operator) {
            index
        } else {
            let stake = amount(operator, supplier.stake.as_ref())?;
            let mut message = supplier.clone();
            message.services.clear();
            message.service_config_history.clear();
            let index = self.suppliers.len();
            self.suppliers.push(SupplierRecord { message, stake, changed: false });
            self.suppliers_by_operator.insert(operator.to_owned(), index);
            index
        };
        let services = &mut self.suppliers[index].message.services;
        if services.iter().all(|config| config.service_id != service_id) {
            let now = self.input.height;
            services.extend(
                supplier
                    .service_config_history
                    .iter()
                    .filter(|update| {
                        update.activation_height <= now
                            && (update.deactivation_height == 0 || update.deactivation_height > now)
                    })
                    .filter_map(|update| update.service.clone())
                    .filter(|config| config.service_id == service_id),
            );
        }
        Ok(Ok(index))
    }

    pub(super) fn application_changes(&self) -> Vec<ApplicationChange> {
        let changed = self.applications.iter().filter(|record| record.changed);
        changed
            .map(|record| ApplicationChange {
                address: record.message.address.clone(),
                stake: record.stake,
                unstake_session_end_height: height::signed(record.message.unstake_session_end_height),
            })
            .collect()
    }

    pub(super) fn supplier_changes(&self) -> Vec<SupplierChange> {
        let changed = self.suppliers.iter().filter(|record| record.changed);
        changed
            .map(|record| SupplierChange {
                operator_address: record.message.operator_address.clone(),
                stake: record.stake,
                unstake_session_end_height: height::signed(record.message.unstake_session_end_height),
            })
            .collect()
    }
}

fn coin(amount: Upokt) -> Coin {
    Coin { denom: DENOM.to_owned(), amount: amount.0.to_string() }
}

fn amount(owner: &str, stake: Option<&Coin>) -> Result<Upokt, InputError> {
    let refused = |found: String| InputError::Stake { owner: owner.to_owned(), found };
    let stake = stake.ok_or_else(|| refused("missing".to_owned()))?;
    Upokt::from_parts(&stake.denom, &stake.amount).map_err(|_| refused(format!("{}{}", stake.amount, stake.denom)))
}
