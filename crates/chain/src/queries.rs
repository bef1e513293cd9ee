//! What the chain says now, or said at a height: accounts, balances, claims. Asked each time, never kept.

use pocket_crypto::keys::PublicKey;
use pocket_proto::cosmos::auth::v1beta1 as auth;
use pocket_proto::cosmos::bank::v1beta1 as bank;
use pocket_proto::cosmos::base::query::v1beta1::PageRequest;
use pocket_proto::cosmos::crypto::secp256k1;
use pocket_proto::pocket::proof;
use prost::{Message, Name};

use crate::Chain;
use crate::error::{Asked, QueryError};
use crate::methods;

const READ_ACCOUNT: &str = "read an account";

/// Claims asked for at once.
const CLAIMS_PAGE: u64 = 1_000;

/// Pages of claims of one supplier, at most: ten million claims.
const CLAIM_PAGES_MAX: usize = 10_000;

/// An account of the auth module.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its number, part of what transactions sign.
    pub number: u64,
    /// Next sequence of an ordered transaction.
    pub sequence: u64,
    /// Published by its first transaction.
    pub public_key: Option<PublicKey>,
}

impl Chain {
    /// Returns an account as the node knows it, which may be behind: its number and a published key never change. Not cached.
    ///
    /// # Errors
    /// [`QueryError`], of the kind `NotFound` if the account does not exist, or did not yet.
    pub fn account<'a>(&'a self, address: &'a str) -> Asked<'a, Account> {
        Box::pin(async move {
            let request = auth::QueryAccountRequest { address: address.to_owned() };
            read_account(self.inner.node.ask(READ_ACCOUNT, &methods::ACCOUNT, &request).await?)
        })
    }

    /// Returns an account as of the newest block seen.
    pub(crate) async fn account_now(&self, address: &str) -> Result<Account, QueryError> {
        let request = auth::QueryAccountRequest { address: address.to_owned() };
        read_account(self.inner.node.ask_at(READ_ACCOUNT, &methods::ACCOUNT, &request, self.height()).await?)
    }

    /// Returns the spendable upokt of an account as of the newest block seen. Not cached.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn balance<'a>(&'a self, address: &'a str) -> Asked<'a, u128> {
        Box::pin(async move {
            let operation = "read a balance";
            let request = bank::QueryBalanceRequest { address: address.to_owned(), denom: "upokt".to_owned() };
            let answer = self.inner.node.ask_at(operation, &methods::BALANCE, &request, self.height()).await?;
            let Some(coin) = answer.balance else { return Ok(0) };
            coin.amount.parse().map_err(|_| QueryError::malformed(operation, format!("amount {}", coin.amount)))
        })
    }

    /// Returns a claim as it stood after the block at `height`, `None` if there was none. Not cached.
    ///
    /// # Errors
    /// [`QueryError`]; the kind is `Ahead` if the node has no such block yet: it cannot answer with an older state.
    pub fn claim<'a>(&'a self, session_id: &'a str, supplier: &'a str, height: i64) -> Asked<'a, Option<proof::Claim>> {
        Box::pin(async move {
            let operation = "read a claim";
            let request = proof::QueryGetClaimRequest {
                session_id: session_id.to_owned(),
                supplier_operator_address: supplier.to_owned(),
            };
            let answer = self.inner.node.ask_at(operation, &methods::CLAIM, &request, height).await;
            match answer {
                Ok(answer) => Ok(answer.claim),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// Returns every claim of a supplier that was on the chain after the block at `height`, through all pages, each of
    /// that height. Not cached.
    ///
    /// # Errors
    /// [`QueryError`]; the kind is `Ahead` if the node has no such block yet: it cannot answer with an older state.
    pub fn claims_of_supplier<'a>(&'a self, supplier: &'a str, height: i64) -> Asked<'a, Vec<proof::Claim>> {
        Box::pin(async move {
            let operation = "read the claims of a supplier";
            let mut claims = Vec::new();
            let mut key = Vec::new();
            for _ in 0..CLAIM_PAGES_MAX {
                let request = proof::QueryAllClaimsRequest {
                    pagination: Some(PageRequest { key, limit: CLAIMS_PAGE, ..PageRequest::default() }),
                    filter: Some(proof::query_all_claims_request::Filter::SupplierOperatorAddress(supplier.to_owned())),
                };
                let answer = self.inner.node.ask_at(operation, &methods::ALL_CLAIMS, &request, height).await?;
                claims.extend(answer.claims);
                key = answer.pagination.map(|page| page.next_key).unwrap_or_default();
                if key.is_empty() {
                    return Ok(claims);
                }
            }
            Err(QueryError::malformed(operation, "the pages do not end"))
        })
    }
}

fn read_account(answer: auth::QueryAccountResponse) -> Result<Account, QueryError> {
    let any = answer.account.ok_or_else(|| QueryError::malformed(READ_ACCOUNT, "no account"))?;
    let malformed = |error: prost::DecodeError| QueryError::malformed(READ_ACCOUNT, error.to_string());
    let account = match any.type_url.as_str() {
        "/cosmos.auth.v1beta1.BaseAccount" => auth::BaseAccount::decode(&*any.value).map_err(malformed)?,
        "/cosmos.auth.v1beta1.ModuleAccount" => {
            auth::ModuleAccount::decode(&*any.value).map_err(malformed)?.base_account.unwrap_or_default()
        }
        other => return Err(QueryError::malformed(READ_ACCOUNT, format!("an account of type {other}"))),
    };
    let public_key = account.pub_key.as_ref().and_then(secp256k1_key);
    Ok(Account { number: account.account_number, sequence: account.sequence, public_key })
}

fn secp256k1_key(any: &prost_types::Any) -> Option<PublicKey> {
    if any.type_url != secp256k1::PubKey::type_url() {
        return None;
    }
    let key = secp256k1::PubKey::decode(&*any.value).ok()?;
    PublicKey::from_bytes(&key.key).ok()
}
