//! The errors of the tokenomics module that end up in `EventClaimDiscarded.error` (§1.10).

use crate::error::Registered;

const fn error(code: u32, description: &'static str) -> Registered {
    Registered::new("tokenomics", code, description)
}

pub(super) const SESSION_HEADER_INVALID: Registered = error(1103, "provided claim's session header is invalid");
pub(super) const SUPPLIER_NOT_FOUND: Registered = error(1105, "supplier not found");
pub(super) const APPLICATION_NOT_FOUND: Registered = error(1106, "application not found");
pub(super) const ROOT_HASH_INVALID: Registered = error(1109, "the root hash in the claim is invalid");
pub(super) const STAKE_INVALID: Registered = error(1110, "application stake cannot be reduced to a -ve amount");
pub(super) const SERVICE_NOT_FOUND: Registered = error(1115, "service not found");
pub(super) const CONSTRAINT: Registered = error(1116, "constraint violation");
pub(super) const SETTLEMENT_INTERNAL: Registered = error(1117, "internal claim settlement error");
pub(super) const MODULE_INTERNAL: Registered = error(1118, "internal token logic module error");
pub(super) const MODULE_FAILED: Registered = error(1119, "failed to process token logic module");
