//! Money: balances, transfers, minting and burning, with the events the bank module emits for them.

use pocket_crypto::address::Address;
use pocket_proto::tendermint::abci::Event;

use super::{Module, State};
use crate::event::event;

/// Module accounts and what they may do (protocol §10.5), in order of their names.
pub const MODULES: [(&str, &[&str]); 14] = [
    ("application", &["minter", "burner", "staking"]),
    ("bonded_tokens_pool", &["burner", "staking"]),
    ("distribution", &[]),
    ("fee_collector", &[]),
    ("gateway", &["minter", "burner", "staking"]),
    ("gov", &["burner"]),
    ("migration", &["minter"]),
    ("mint", &["minter"]),
    ("not_bonded_tokens_pool", &["burner", "staking"]),
    ("proof", &["minter", "burner", "staking"]),
    ("service", &["minter", "burner", "staking"]),
    ("session", &["minter", "burner", "staking"]),
    ("supplier", &["minter", "burner", "staking"]),
    ("tokenomics", &["minter", "burner", "staking"]),
];

/// A transfer or burn that the balance does not cover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spendable balance {balance} is smaller than {amount}upokt: insufficient funds")]
pub struct BankError {
    /// What there is, as the chain prints it: empty when there is nothing.
    pub balance: String,
    /// What was asked for, in upokt.
    pub amount: u128,
}

impl State {
    /// Returns the spendable upokt of an address.
    pub fn balance(&self, address: &str) -> u128 {
        self.balances.get(address).copied().unwrap_or(0)
    }

    fn set_balance(&mut self, address: &Address, amount: u128) {
        if amount == 0 {
            self.balances.remove_mut(address);
        } else {
            self.balances.insert_mut(address.clone(), amount);
        }
    }

    /// Adds upokt out of nothing, at genesis.
    pub fn endow(&mut self, address: &Address, amount: u128) {
        let balance = self.balance(address.as_str());
        self.set_balance(address, balance + amount);
        self.supply += amount;
    }

    fn take(&mut self, from: &Address, amount: u128) -> Result<(), BankError> {
        let balance = self.balance(from.as_str());
        let Some(left) = balance.checked_sub(amount) else {
            let balance = if balance == 0 { String::new() } else { format!("{balance}upokt") };
            return Err(BankError { balance, amount });
        };
        self.set_balance(from, left);
        Ok(())
    }

    fn give(&mut self, to: &Address, amount: u128) {
        self.ensure_account(to);
        let balance = self.balance(to.as_str());
        self.set_balance(to, balance + amount);
    }

    /// Moves upokt and reports it as the bank does.
    pub fn transfer(
        &mut self,
        from: &Address,
        to: &Address,
        amount: u128,
        events: &mut Vec<Event>,
    ) -> Result<(), BankError> {
        self.take(from, amount)?;
        self.give(to, amount);
        let coins = coins_text(amount);
        events.push(event("coin_spent", [("spender", from.as_str()), ("amount", &coins)]));
        events.push(event("coin_received", [("receiver", to.as_str()), ("amount", &coins)]));
        events.push(event("transfer", [("recipient", to.as_str()), ("sender", from.as_str()), ("amount", &coins)]));
        events.push(event("message", [("sender", from.as_str())]));
        Ok(())
    }

    /// Creates upokt in a module account.
    pub fn mint(&mut self, module: &str, amount: u128, events: &mut Vec<Event>) {
        let address = Address::module(module);
        self.give(&address, amount);
        self.supply += amount;
        let coins = coins_text(amount);
        events.push(event("coin_received", [("receiver", address.as_str()), ("amount", &coins)]));
        events.push(event("coinbase", [("minter", address.as_str()), ("amount", &coins)]));
    }

    /// Destroys upokt of a module account.
    pub fn burn(&mut self, module: &str, amount: u128, events: &mut Vec<Event>) -> Result<(), BankError> {
        let address = Address::module(module);
        self.take(&address, amount)?;
        self.supply = self.supply.saturating_sub(amount);
        let coins = coins_text(amount);
        events.push(event("coin_spent", [("spender", address.as_str()), ("amount", &coins)]));
        events.push(event("burn", [("burner", address.as_str()), ("amount", &coins)]));
        Ok(())
    }

    /// Opens the accounts of all modules.
    pub fn open_modules(&mut self) {
        for (name, permissions) in MODULES {
            let permissions = permissions.iter().map(|&permission| permission.to_owned()).collect();
            self.open_account(Address::module(name), None, Some(Module { name: name.to_owned(), permissions }));
        }
    }
}

/// Writes coins as the chain does: nothing for zero.
pub(crate) fn coins_text(amount: u128) -> String {
    if amount == 0 { String::new() } else { format!("{amount}upokt") }
}
