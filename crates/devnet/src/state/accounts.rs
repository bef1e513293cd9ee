//! Accounts: numbers, sequences, public keys.

use std::sync::Arc;

use pocket_crypto::{address::Address, keys::PublicKey};

use super::State;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its address.
    pub address: Address,
    /// Its number, signed in every transaction.
    pub number: u64,
    /// How many ordered transactions it has sent.
    pub sequence: u64,
    /// Its key, once known.
    pub public_key: Option<PublicKey>,
    /// Set when it belongs to a module.
    pub module: Option<Module>,
}

/// Name and rights of a module account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Module name, from which the address follows.
    pub name: String,
    /// What it may do: `minter`, `burner`, `staking`.
    pub permissions: Vec<String>,
}

impl State {
    /// Opens an account with the next number unless there is one.
    pub fn ensure_account(&mut self, address: &Address) {
        if self.accounts.get(address).is_none() {
            self.open_account(address.clone(), None, None);
        }
    }

    /// Opens an account with the next number, in place of any other.
    pub fn open_account(&mut self, address: Address, public_key: Option<PublicKey>, module: Option<Module>) {
        let account = Account { address: address.clone(), number: self.accounts_next, sequence: 0, public_key, module };
        self.accounts_next += 1;
        self.accounts.insert_mut(address, Arc::new(account));
    }

    /// Changes an account; does nothing when there is none.
    pub fn change_account(&mut self, address: &Address, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get(address) {
            let mut account = Account::clone(account);
            change(&mut account);
            self.accounts.insert_mut(address.clone(), Arc::new(account));
        }
    }
}
