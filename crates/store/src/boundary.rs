//! Records and events that relayers and miners of both kinds, Go and ours, exchange: the reference's JSON, byte for byte.

use serde::{Deserialize, Serialize, Serializer};

/// A new block, as published on `{base}:events:blocks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEvent {
    /// Its height.
    pub height: i64,
    /// Its hash; base64 on the wire, left out when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_bytes")]
    pub hash: Vec<u8>,
    /// Its time, RFC 3339 as the publisher wrote it.
    pub timestamp: String,
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

/// Whether a supplier serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupplierStatus {
    /// Staked and serving.
    Active,
    /// On its way out, still serving until `unstake_session_end_height`.
    Unstaking,
    /// Not on chain.
    NotStaked,
}

impl SupplierStatus {
    /// Returns the status as it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Unstaking => "unstaking",
            Self::NotStaked => "not_staked",
        }
    }
}

/// One service over one transport that a supplier has staked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StakedEndpoint {
    /// The service.
    pub service_id: String,
    /// The transport, by its backend key.
    pub rpc_type: String,
}

/// What relayers know of a supplier, at `{base}:supplier:{operator}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplierState {
    /// Whether it serves.
    pub status: SupplierStatus,
    /// Whether it is staked.
    pub staked: bool,
    /// Service ids; `null` in the reference's record of a supplier that is not staked.
    #[serde(default)]
    pub services: Option<Vec<String>>,
    /// Services by transport; left out when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staked_endpoints: Vec<StakedEndpoint>,
    /// Last height of the session at whose end it leaves; 0 if it stays.
    pub unstake_session_end_height: u64,
    /// The operator's address.
    pub operator_address: String,
    /// The owner's address.
    #[serde(default)]
    pub owner_address: String,
    /// Unix seconds of the last write; 0 is replaced by now.
    pub last_updated: i64,
    /// Session start height of the last refresh; left out when 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_refresh_session_start: i64,
    /// Who wrote it; left out when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub updated_by: String,
}

impl SupplierState {
    /// Returns whether the record contradicts itself: staked, active, and without services. Such records come from an old
    /// fault of the reference and are treated as absent.
    pub fn is_contaminated(&self) -> bool {
        self.staked && self.status == SupplierStatus::Active && self.services.as_ref().is_none_or(Vec::is_empty)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// What happened to a supplier's registry entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryAction {
    /// It serves from now on.
    Add,
    /// Its services changed.
    Update,
    /// It stops soon.
    Draining,
    /// It is gone.
    Remove,
}

/// A supplier registry event, on `{base}:events:supplier_update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryEvent {
    /// What happened.
    pub action: RegistryAction,
    /// To whom.
    pub operator_addr: String,
    /// Its services; left out when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Why; left out when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A registry entry, at `{base}:suppliers:{operator}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistryRecord {
    pub(crate) operator_addr: String,
    pub(crate) services: Option<Vec<String>>,
    pub(crate) status: String,
    pub(crate) updated_at: i64,
}

/// A service factor, at `{base}:service_factor:…`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ServiceFactor {
    /// Share of an application's stake that one supplier may earn in one session.
    #[serde(serialize_with = "go_float")]
    pub factor: f64,
    /// Unix seconds.
    pub updated_at: i64,
}

/// The facts a meter was opened with, at `{prefix}:meter:{session}:{supplier}:meta`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeterMeta {
    /// The session.
    pub session_id: String,
    /// Who pays.
    pub app_address: String,
    /// The service.
    pub service_id: String,
    /// The supplier.
    pub supplier_address: String,
    /// The session's last height.
    pub session_end_height: i64,
    /// The limit, in upokt.
    pub max_stake_upokt: i64,
    /// Unix seconds.
    pub created_at: i64,
    /// The service factor the limit was made with; 0 if none.
    #[serde(serialize_with = "go_float")]
    pub created_with_factor: f64,
    /// The stake the limit was made with, in upokt.
    pub created_with_app_stake: i64,
}

/// Writes a number as Go's `encoding/json` does: no fraction when there is none, an exponent outside 1e-6 to 1e21.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn go_float<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let text = go_float_text(*value);
    let number: Box<serde_json::value::RawValue> =
        serde_json::value::RawValue::from_string(text).map_err(serde::ser::Error::custom)?;
    number.serialize(serializer)
}

pub(crate) fn go_float_text(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        }
    } else {
        format!("{value}")
    }
}

/// A session that no longer pays, on `{base}:events:session:rewardable`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardableEvent {
    /// The session.
    pub session_id: String,
    /// Whether it pays.
    pub is_rewardable: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A shared cache of chain facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheKind {
    /// Applications by address, as protobuf.
    Application,
    /// Services by id, as protobuf.
    Service,
    /// Supplier states by operator address.
    Supplier,
    /// Public keys by address, 33 bytes.
    Account,
    /// Shared parameters.
    SharedParams,
    /// Proof parameters.
    ProofParams,
    /// Service factors.
    ServiceFactor,
}

impl CacheKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Application,
        Self::Service,
        Self::Supplier,
        Self::Account,
        Self::SharedParams,
        Self::ProofParams,
        Self::ServiceFactor,
    ];

    /// Returns the kind's word in keys and channels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Service => "service",
            Self::Supplier => "supplier",
            Self::Account => "account",
            Self::SharedParams => "shared_params",
            Self::ProofParams => "proof_params",
            Self::ServiceFactor => "service_factor",
        }
    }

    /// Returns the field that names an entry in an invalidation, if the kind has entries.
    pub fn id_field(self) -> Option<&'static str> {
        match self {
            Self::Application | Self::Account => Some("address"),
            Self::Service | Self::ServiceFactor => Some("service_id"),
            Self::Supplier => Some("operator_address"),
            Self::SharedParams | Self::ProofParams => None,
        }
    }

    /// Returns the payload that invalidates one entry, or all.
    ///
    /// The reference writes these by hand with a space after the colon, save for service factors.
    pub(crate) fn payload(self, id: Option<&str>) -> String {
        match (self.id_field(), id) {
            (Some(field), Some(id)) => {
                let space = if self == Self::ServiceFactor { "" } else { " " };
                let id = serde_json::Value::from(id);
                format!("{{\"{field}\":{space}{id}}}")
            }
            _ => "{}".to_owned(),
        }
    }

    /// Reads a payload: the entry it names, or none for all. What cannot be read means all.
    pub(crate) fn read_payload(self, payload: &[u8]) -> Option<String> {
        let value: serde_json::Value = serde_json::from_slice(payload).ok()?;
        let id = value.get(self.id_field()?)?.as_str()?;
        (!id.is_empty()).then(|| id.to_owned())
    }
}

/// Something that another process made known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A new block.
    Block(BlockEvent),
    /// Forget an entry of a cache, or all of it.
    Invalidate {
        /// Which cache.
        kind: CacheKind,
        /// Which entry; none for all.
        id: Option<String>,
    },
    /// A supplier came, changed or goes.
    Registry(RegistryEvent),
    /// A session no longer pays.
    Rewardable(RewardableEvent),
    /// Release a meter.
    MeterCleanup {
        /// The session.
        session: String,
        /// The supplier.
        supplier: String,
    },
    /// Events were missed, because the reader was slow or the connection broke: treat every cached fact as stale.
    Missed,
}

impl Event {
    /// Reads `session|supplier`.
    pub(crate) fn meter_cleanup(payload: &[u8]) -> Option<Self> {
        let (session, supplier) = std::str::from_utf8(payload).ok()?.split_once('|')?;
        if session.is_empty() || supplier.is_empty() {
            return None;
        }
        Some(Self::MeterCleanup { session: session.to_owned(), supplier: supplier.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.5, "0.5"),
            (0.001, "0.001"),
            (1e-7, "1e-7"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
        ] {
            assert_eq!(go_float_text(value), text);
        }
    }
}
