//! Queries of the modules `auth` and `bank`.

use pocket_crypto::address::Address;
use pocket_proto::{
    any,
    cosmos::{
        auth::v1beta1 as auth, bank::v1beta1 as bank, base::query::v1beta1::PageResponse, base::v1beta1::Coin,
        crypto::secp256k1::PubKey,
    },
};
use pocket_protocol::{address, coin::DENOM};
use prost_types::Any;
use tonic::Status;

use super::{At, Method, methods};
use crate::{
    state::{Account, MODULES},
    wire::page,
};

pub(super) const AUTH: &[Method] = methods!("cosmos.auth.v1beta1.Query", {
    "Accounts", accounts;
    "Account", account, address;
    "AccountInfo", account_info, address;
    "Params", auth_params;
    "ModuleAccounts", module_accounts;
    "ModuleAccountByName", module_account_by_name;
    "Bech32Prefix", bech32_prefix;
});

pub(super) const BANK: &[Method] = methods!("cosmos.bank.v1beta1.Query", {
    "Balance", balance, address;
    "AllBalances", all_balances, address;
    "SpendableBalances", spendable_balances, address;
    "TotalSupply", total_supply;
    "SupplyOf", supply_of;
    "Params", bank_params;
});

fn base(account: &Account) -> auth::BaseAccount {
    auth::BaseAccount {
        address: account.address.to_string(),
        pub_key: account.public_key.map(|key| any(&PubKey { key: key.to_bytes().to_vec() })),
        account_number: account.number,
        sequence: account.sequence,
    }
}

fn packed(account: &Account) -> Any {
    match &account.module {
        None => any(&base(account)),
        Some(module) => any(&auth::ModuleAccount {
            base_account: Some(base(account)),
            name: module.name.clone(),
            permissions: module.permissions.clone(),
        }),
    }
}

fn found<'a>(at: &'a At<'_>, text: &str) -> Result<&'a Account, Status> {
    if text.is_empty() {
        return Err(Status::invalid_argument("Address cannot be empty"));
    }
    let address = address::parse(text).map_err(Status::unknown)?;
    match at.state.accounts.get(&address) {
        Some(account) => Ok(account),
        None => Err(Status::not_found(format!("account {text} not found"))),
    }
}

fn accounts(at: &At<'_>, request: auth::QueryAccountsRequest) -> Result<auth::QueryAccountsResponse, Status> {
    let all = at.state.accounts.iter().map(|(address, account)| (address.as_str().as_bytes().to_vec(), account));
    let (page, pagination) = page::cut(all, request.pagination)?;
    let accounts = page.into_iter().map(|account| packed(account)).collect();
    Ok(auth::QueryAccountsResponse { accounts, pagination: Some(pagination) })
}

fn account(at: &At<'_>, request: auth::QueryAccountRequest) -> Result<auth::QueryAccountResponse, Status> {
    let account = found(at, &request.address)?;
    Ok(auth::QueryAccountResponse { account: Some(packed(account)) })
}

fn account_info(at: &At<'_>, request: auth::QueryAccountInfoRequest) -> Result<auth::QueryAccountInfoResponse, Status> {
    let account = found(at, &request.address)?;
    Ok(auth::QueryAccountInfoResponse { info: Some(base(account)) })
}

fn auth_params(at: &At<'_>, _: auth::QueryParamsRequest) -> Result<auth::QueryParamsResponse, Status> {
    let params = &at.state.params.auth;
    let params = auth::Params {
        max_memo_characters: params.max_memo_characters,
        tx_sig_limit: params.tx_sig_limit,
        tx_size_cost_per_byte: params.tx_size_cost_per_byte,
        sig_verify_cost_ed25519: params.sig_verify_cost_ed25519,
        sig_verify_cost_secp256k1: params.sig_verify_cost_secp256k1,
    };
    Ok(auth::QueryParamsResponse { params: Some(params) })
}

fn module_accounts(
    at: &At<'_>,
    _: auth::QueryModuleAccountsRequest,
) -> Result<auth::QueryModuleAccountsResponse, Status> {
    let modules = MODULES.iter().filter_map(|(name, _)| at.state.accounts.get(&Address::module(name)));
    Ok(auth::QueryModuleAccountsResponse { accounts: modules.map(|account| packed(account)).collect() })
}

fn module_account_by_name(
    at: &At<'_>,
    request: auth::QueryModuleAccountByNameRequest,
) -> Result<auth::QueryModuleAccountByNameResponse, Status> {
    let account = at.state.accounts.get(&Address::module(&request.name)).filter(|account| account.module.is_some());
    match account {
        Some(account) => Ok(auth::QueryModuleAccountByNameResponse { account: Some(packed(account)) }),
        None => Err(Status::not_found(format!("account {} not found", request.name))),
    }
}

fn bech32_prefix(_: &At<'_>, _: auth::Bech32PrefixRequest) -> Result<auth::Bech32PrefixResponse, Status> {
    Ok(auth::Bech32PrefixResponse { bech32_prefix: "pokt".to_owned() })
}

fn coin(amount: u128) -> Coin {
    Coin { denom: DENOM.to_owned(), amount: amount.to_string() }
}

fn coins(amount: u128) -> Vec<Coin> {
    if amount == 0 { Vec::new() } else { vec![coin(amount)] }
}

fn one_page(coins: &[Coin]) -> PageResponse {
    PageResponse { next_key: Vec::new(), total: coins.len() as u64 }
}

fn check_address(text: &str) -> Result<Address, Status> {
    address::parse(text).map_err(|reason| Status::invalid_argument(format!("invalid address: {reason}")))
}

/// A denomination is a letter and 2 to 127 letters, digits or `/:._-`.
fn check_denom(denom: &str) -> Result<(), Status> {
    let bytes = denom.as_bytes();
    let starts = bytes.first().is_some_and(u8::is_ascii_alphabetic);
    let goes_on = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/:._-".contains(byte));
    if starts && goes_on && (3..=128).contains(&bytes.len()) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("invalid denom: {denom}")))
}

fn balance(at: &At<'_>, request: bank::QueryBalanceRequest) -> Result<bank::QueryBalanceResponse, Status> {
    check_denom(&request.denom)?;
    let address = check_address(&request.address)?;
    let amount = if request.denom == DENOM { at.state.balance(address.as_str()) } else { 0 };
    let balance = Coin { denom: request.denom, amount: amount.to_string() };
    Ok(bank::QueryBalanceResponse { balance: Some(balance) })
}

fn all_balances(at: &At<'_>, request: bank::QueryAllBalancesRequest) -> Result<bank::QueryAllBalancesResponse, Status> {
    let address = check_address(&request.address)?;
    let balances = coins(at.state.balance(address.as_str()));
    let pagination = Some(one_page(&balances));
    Ok(bank::QueryAllBalancesResponse { balances, pagination })
}

fn spendable_balances(
    at: &At<'_>,
    request: bank::QuerySpendableBalancesRequest,
) -> Result<bank::QuerySpendableBalancesResponse, Status> {
    let address = check_address(&request.address)?;
    let balances = coins(at.state.balance(address.as_str()));
    let pagination = Some(one_page(&balances));
    Ok(bank::QuerySpendableBalancesResponse { balances, pagination })
}

fn total_supply(at: &At<'_>, _: bank::QueryTotalSupplyRequest) -> Result<bank::QueryTotalSupplyResponse, Status> {
    let supply = coins(at.state.supply);
    let pagination = Some(one_page(&supply));
    Ok(bank::QueryTotalSupplyResponse { supply, pagination })
}

fn supply_of(at: &At<'_>, request: bank::QuerySupplyOfRequest) -> Result<bank::QuerySupplyOfResponse, Status> {
    check_denom(&request.denom)?;
    let amount = if request.denom == DENOM { at.state.supply } else { 0 };
    let amount = Coin { denom: request.denom, amount: amount.to_string() };
    Ok(bank::QuerySupplyOfResponse { amount: Some(amount) })
}

fn bank_params(_: &At<'_>, _: bank::QueryParamsRequest) -> Result<bank::QueryParamsResponse, Status> {
    Ok(bank::QueryParamsResponse {
        params: Some(bank::Params { send_enabled: Vec::new(), default_send_enabled: true }),
    })
}
