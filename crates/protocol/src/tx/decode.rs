//! Reading transactions as a node does, and what it checks on them without state (protocol §9.2, §9.3).

use pocket_crypto::hash::sha256;
use pocket_crypto::keys::PublicKey;
use pocket_proto::cosmos::crypto::secp256k1::PubKey;
use pocket_proto::cosmos::tx::v1beta1::{AuthInfo, Fee, TxBody, TxRaw};
use prost::Message as _;
use prost_types::{Any, Timestamp};

use super::{SECP256K1_TYPE_URL, sign_doc, unknown, unordered};
use crate::error::{ChainError, codes};
use crate::height::Height;

/// Limits of the auth module's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxLimits {
    /// Longest memo, in characters as Go counts them: bytes.
    pub memo_bytes_max: usize,
    /// Most signatures.
    pub signatures_max: usize,
}

impl TxLimits {
    /// The chain's defaults.
    pub const DEFAULT: Self = Self { memo_bytes_max: 256, signatures_max: 7 };
}

/// A transaction that is well formed; whether anybody signed it is another question.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// SHA-256 of the bytes it came in.
    pub hash: [u8; 32],
    /// Number of those bytes.
    pub size: usize,
    /// The parts that were signed, and the signatures.
    pub raw: TxRaw,
    /// Messages, memo, timeouts.
    pub body: TxBody,
    /// Signers and fee.
    pub auth_info: AuthInfo,
}

/// Reads a transaction: outer encoding by ADR-027, no unknown fields but non-critical ones in the body.
///
/// # Errors
/// `sdk` 2.
pub fn decode(bytes: &[u8]) -> Result<Decoded, ChainError> {
    let refused = |reason: String| {
        // The chain wraps the same error twice on its way out of the decoder.
        codes::sdk::TX_DECODE.wrap(codes::sdk::TX_DECODE.wrap(reason))
    };
    unknown::check_outer(bytes).map_err(&refused)?;
    unknown::check("cosmos.tx.v1beta1.TxRaw", bytes, false).map_err(&refused)?;
    let raw = TxRaw::decode(bytes).map_err(|error| refused(error.to_string()))?;
    unknown::check("cosmos.tx.v1beta1.TxBody", &raw.body_bytes, true).map_err(&refused)?;
    let body = TxBody::decode(&raw.body_bytes[..]).map_err(|error| refused(error.to_string()))?;
    unknown::check("cosmos.tx.v1beta1.AuthInfo", &raw.auth_info_bytes, false).map_err(&refused)?;
    let auth_info = AuthInfo::decode(&raw.auth_info_bytes[..]).map_err(|error| refused(error.to_string()))?;
    Ok(Decoded { hash: sha256(bytes), size: bytes.len(), raw, body, auth_info })
}

impl Decoded {
    /// Returns the messages.
    #[must_use]
    pub fn messages(&self) -> &[Any] {
        &self.body.messages
    }

    /// Returns the fee; an absent one costs nothing and grants no gas.
    #[must_use]
    pub fn fee(&self) -> Fee {
        self.auth_info.fee.clone().unwrap_or_default()
    }

    /// Returns the sequence of the signer at `index`; 0 where there is none.
    #[must_use]
    pub fn sequence(&self, index: usize) -> u64 {
        self.auth_info.signer_infos.get(index).map_or(0, |signer| signer.sequence)
    }

    /// Returns the public key that the signer at `index` gives; `None` when it gives none and relies on its account's.
    ///
    /// # Errors
    /// `sdk` 8 for a key of another kind or no point of the curve.
    pub fn public_key(&self, index: usize) -> Result<Option<PublicKey>, ChainError> {
        let Some(key) = self.auth_info.signer_infos.get(index).and_then(|signer| signer.public_key.as_ref()) else {
            return Ok(None);
        };
        let invalid = &codes::sdk::INVALID_PUB_KEY;
        if key.type_url != SECP256K1_TYPE_URL {
            return Err(invalid.wrap(format!("unsupported public key type {}", key.type_url)));
        }
        let key = PubKey::decode(&key.value[..]).map_err(|error| invalid.wrap(error))?;
        PublicKey::from_bytes(&key.key).map(Some).map_err(|error| invalid.wrap(error))
    }

    /// Checks what the ante handler checks without state: there are messages, a fee, signatures, one for each of
    /// `signers` (the accounts that the messages name, each once), no extension options, and no limit is exceeded.
    ///
    /// # Errors
    /// `sdk` 18, 13, 15, 4, 31, 12 or 14.
    pub fn check_basic(&self, signers: &[String], limits: TxLimits) -> Result<(), ChainError> {
        const GAS_MAX: u64 = i64::MAX.unsigned_abs();
        let invalid = &codes::sdk::INVALID_REQUEST;
        if self.body.messages.is_empty() {
            return Err(invalid.wrap("must contain at least one message"));
        }
        if !self.body.extension_options.is_empty() {
            return Err(codes::sdk::UNKNOWN_EXTENSION_OPTIONS.bare());
        }
        let Some(fee) = &self.auth_info.fee else {
            return Err(invalid.wrap("missing fee"));
        };
        if fee.gas_limit > GAS_MAX {
            return Err(invalid.wrap(format!("invalid gas supplied; {} > {GAS_MAX}", fee.gas_limit)));
        }
        if fee
            .amount
            .iter()
            .any(|coin| !coin.amount.bytes().all(|byte| byte.is_ascii_digit()) || coin.amount.is_empty())
        {
            let coins: Vec<String> = fee.amount.iter().map(|coin| format!("{}{}", coin.amount, coin.denom)).collect();
            return Err(codes::sdk::INSUFFICIENT_FEE.wrap(format!("invalid fee provided: {}", coins.join(","))));
        }
        let signatures = &self.raw.signatures;
        if signatures.is_empty() {
            return Err(codes::sdk::NO_SIGNATURES.bare());
        }
        if signatures.len() != signers.len() {
            let context = format!("wrong number of signers; expected {}, got {}", signers.len(), signatures.len());
            return Err(codes::sdk::UNAUTHORIZED.wrap(context));
        }
        self.check_limits(limits)
    }

    fn check_limits(&self, limits: TxLimits) -> Result<(), ChainError> {
        let memo = self.body.memo.len();
        if memo > limits.memo_bytes_max {
            return Err(codes::sdk::MEMO_TOO_LARGE.wrap(format!(
                "maximum number of characters is {} but received {memo} characters",
                limits.memo_bytes_max
            )));
        }
        let signatures = self.raw.signatures.len();
        if signatures > limits.signatures_max {
            return Err(codes::sdk::TOO_MANY_SIGNATURES
                .wrap(format!("signatures: {signatures}, limit: {}", limits.signatures_max)));
        }
        Ok(())
    }

    /// Verifies the signature at `index` as one of `key`, for this chain and account.
    ///
    /// # Errors
    /// `sdk` 4.
    pub fn check_signature(
        &self,
        index: usize,
        key: &PublicKey,
        chain_id: &str,
        account_number: u64,
    ) -> Result<(), ChainError> {
        let document = sign_doc(&self.raw.body_bytes, &self.raw.auth_info_bytes, chain_id, account_number);
        let signature = self.raw.signatures.get(index).map_or(&[][..], Vec::as_slice);
        key.verify(&document, signature).map_err(|_| {
            codes::sdk::UNAUTHORIZED.wrap(format!(
                "signature verification failed; please verify account number ({account_number}) and chain-id \
                 ({chain_id}): (unable to verify single signer signature)"
            ))
        })
    }

    /// Checks the sequence of the signer at `index` against its account's; unordered transactions have none.
    ///
    /// # Errors
    /// `sdk` 32.
    pub fn check_sequence(&self, index: usize, account_sequence: u64) -> Result<(), ChainError> {
        let given = self.sequence(index);
        if self.body.unordered || given == account_sequence {
            return Ok(());
        }
        let context = format!("account sequence mismatch, expected {account_sequence}, got {given}");
        Err(codes::sdk::WRONG_SEQUENCE.wrap(context))
    }
}

/// Checks both timeouts of a transaction, ordered or not, at the block it would be included in.
///
/// # Errors
/// `sdk` 42 when the timestamp has passed, `sdk` 30 when the height has.
pub fn check_timeouts(body: &TxBody, height: Height, block_time: Timestamp) -> Result<(), ChainError> {
    if let Some(timeout) = body.timeout_timestamp
        && timeout.seconds != 0
        && unordered::nanoseconds(block_time) > unordered::nanoseconds(timeout)
    {
        return Err(codes::sdk::TX_TIMEOUT.wrap(format!(
            "block time: {}, timeout timestamp: {}",
            go_time(block_time),
            go_time(timeout)
        )));
    }
    if body.timeout_height > 0 && height.max(0).unsigned_abs() > body.timeout_height {
        return Err(codes::sdk::TX_TIMEOUT_HEIGHT
            .wrap(format!("block height: {height}, timeout height: {}", body.timeout_height)));
    }
    Ok(())
}

/// Writes a time as Go prints it: `2026-11-22 16:08:30.165065918 +0000 UTC`, without trailing zeros.
fn go_time(time: Timestamp) -> String {
    let (days, second_of_day) = (time.seconds.div_euclid(86_400), time.seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let fraction = format!("{:09}", time.nanos);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{point}{fraction} +0000 UTC")
}

/// Returns year, month and day of a day counted from 1970-01-01, by eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        let at = |seconds, nanos| go_time(Timestamp { seconds, nanos });
        assert_eq!(at(1_795_363_710, 165_065_918), "2026-11-22 16:08:30.165065918 +0000 UTC");
        assert_eq!(at(951_782_400, 0), "2000-02-29 00:00:00 +0000 UTC");
        assert_eq!(at(1_767_225_600, 500_000_000), "2026-01-01 00:00:00.5 +0000 UTC");
        assert_eq!(at(-1, 0), "1969-12-31 23:59:59 +0000 UTC");
    }

    #[test]
    fn a_timeout_is_the_last_moment() {
        let body = |timeout_height, seconds| TxBody {
            timeout_height,
            timeout_timestamp: Some(Timestamp { seconds, nanos: 5 }),
            ..TxBody::default()
        };
        let now = Timestamp { seconds: 100, nanos: 5 };
        assert!(check_timeouts(&body(7, 100), 7, now).is_ok());
        assert!(check_timeouts(&body(6, 100), 7, now).expect_err("height").is(&codes::sdk::TX_TIMEOUT_HEIGHT));
        assert!(check_timeouts(&body(7, 99), 7, now).expect_err("time").is(&codes::sdk::TX_TIMEOUT));
    }
}
