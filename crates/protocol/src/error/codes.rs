//! The errors that the chain's modules register (protocol §1.4 – §1.10, §3.6, §9.3).

/// Module `shared` (§1.4).
pub mod shared {
    use super::super::Registered;

    const SPACE: &str = "shared";

    /// An address is not bech32 of this chain.
    pub const INVALID_ADDRESS: Registered = Registered::new(SPACE, 1101, "invalid address");
    /// No parameter of that name.
    pub const PARAM_NAME_INVALID: Registered = Registered::new(SPACE, 1102, "the provided param name is invalid");
    /// A parameter breaks a rule of §4.8.
    pub const PARAM_INVALID: Registered = Registered::new(SPACE, 1103, "the provided param is invalid");
    /// An event could not be emitted.
    pub const EMIT_EVENT: Registered = Registered::new(SPACE, 1104, "failed to emit event");
    /// Somebody else's supplier.
    pub const UNAUTHORIZED_SUPPLIER_UPDATE: Registered = Registered::new(SPACE, 1105, "unauthorized supplier update");
    /// Revenue shares that do not add up.
    pub const INVALID_REV_SHARE: Registered = Registered::new(SPACE, 1106, "invalid revenue share configuration");
    /// A service definition breaks a rule.
    pub const INVALID_SERVICE: Registered = Registered::new(SPACE, 1107, "invalid service");
    /// A service id is empty, too long or of strange characters.
    pub const INVALID_SERVICE_ID: Registered = Registered::new(SPACE, 1108, "invalid service ID");
}

/// Module `session` (§4.6).
pub mod session {
    use super::super::Registered;

    const SPACE: &str = "session";

    /// The session could not be assembled.
    pub const HYDRATION: Registered = Registered::new(SPACE, 1101, "error during session hydration");
    /// No such application. The description is the chain's, blemishes included.
    pub const APP_NOT_FOUND: Registered = Registered::new(SPACE, 1102, "application for session not found not found ");
    /// The application has no stake for the service at that height.
    pub const APP_NOT_STAKED_FOR_SERVICE: Registered =
        Registered::new(SPACE, 1103, "application in session not staked for requested service");
    /// Nobody serves the service. The description is the chain's.
    pub const SUPPLIERS_NOT_FOUND: Registered = Registered::new(SPACE, 1104, "no suppliers not found for session");
    /// The application's address is not bech32 of this chain.
    pub const INVALID_APP_ADDRESS: Registered = Registered::new(SPACE, 1105, "invalid application address for session");
    /// A height is out of range or out of order.
    pub const INVALID_BLOCK_HEIGHT: Registered = Registered::new(SPACE, 1107, "invalid block height for session");
    /// The session id is empty.
    pub const INVALID_SESSION_ID: Registered = Registered::new(SPACE, 1108, "invalid sessionId");
    /// The application is unbonding or has been transferred.
    pub const APP_NOT_ACTIVE: Registered = Registered::new(SPACE, 1109, "application is not active");
    /// A session parameter breaks a rule.
    pub const PARAM_INVALID: Registered = Registered::new(SPACE, 1110, "the provided param is invalid");
}

/// Module `application` (§1.5).
pub mod application {
    use super::super::Registered;

    const SPACE: &str = "application";

    /// No such application.
    pub const NOT_FOUND: Registered = Registered::new(SPACE, 1104, "application not found");
    /// A parameter breaks a rule.
    pub const PARAM_INVALID: Registered = Registered::new(SPACE, 1115, "the provided param is invalid");
}

/// Module `gateway` (§1.6).
pub mod gateway {
    use super::super::Registered;

    const SPACE: &str = "gateway";

    /// No such gateway.
    pub const NOT_FOUND: Registered = Registered::new(SPACE, 1104, "gateway not found");
    /// A parameter breaks a rule.
    pub const PARAM_INVALID: Registered = Registered::new(SPACE, 1105, "the provided param is invalid");
}

/// Module `supplier` (§1.7).
pub mod supplier {
    use super::super::Registered;

    const SPACE: &str = "supplier";

    /// No such supplier.
    pub const NOT_FOUND: Registered = Registered::new(SPACE, 1103, "supplier not found");
    /// A parameter breaks a rule.
    pub const PARAM_INVALID: Registered = Registered::new(SPACE, 1107, "the provided param is invalid");
}

/// Module `service` (§1.8).
pub mod service {
    use super::super::Registered;

    const SPACE: &str = "service";

    /// A relay response breaks a rule of §2.2 or is not signed by its supplier.
    pub const INVALID_RELAY_RESPONSE: Registered = Registered::new(SPACE, 1110, "invalid relay response");
    /// A relay request breaks a rule of §2.2.
    pub const INVALID_RELAY_REQUEST: Registered = Registered::new(SPACE, 1111, "invalid relay request");
    /// A parameter breaks a rule.
    pub const PARAM_INVALID: Registered = Registered::new(SPACE, 1115, "the provided param is invalid");
    /// No such service.
    pub const NOT_FOUND: Registered = Registered::new(SPACE, 1117, "service not found");
}

/// Module `proof` (§1.9).
pub mod proof {
    use super::super::Registered;

    const SPACE: &str = "proof";

    /// An address is not bech32 of this chain, or claim and proof name different applications.
    pub const INVALID_ADDRESS: Registered = Registered::new(SPACE, 1101, "invalid address");
    /// The supplier does not serve in the session.
    pub const SUPPLIER_NOT_FOUND: Registered = Registered::new(SPACE, 1102, "supplier not found");
    /// Claim and proof name different services.
    pub const INVALID_SERVICE: Registered = Registered::new(SPACE, 1103, "invalid service in supplier");
    /// The claimed root has a wrong length, or counts nothing.
    pub const INVALID_CLAIM_ROOT_HASH: Registered = Registered::new(SPACE, 1104, "invalid root hash");
    /// A query is malformed.
    pub const INVALID_QUERY_REQUEST: Registered = Registered::new(SPACE, 1105, "invalid query request");
    /// No such claim.
    pub const CLAIM_NOT_FOUND: Registered = Registered::new(SPACE, 1106, "claim not found");
    /// No such proof.
    pub const PROOF_NOT_FOUND: Registered = Registered::new(SPACE, 1107, "proof not found");
    /// The proof cannot be read, has the wrong path, or does not lead to the claimed root.
    pub const INVALID_PROOF: Registered = Registered::new(SPACE, 1108, "invalid proof");
    /// The proved leaf is not a relay of the session.
    pub const INVALID_RELAY: Registered = Registered::new(SPACE, 1109, "invalid relay");
    /// The application is unknown to the chain.
    pub const APPLICATION_NOT_FOUND: Registered = Registered::new(SPACE, 1113, "application not found");
    /// The account has never published its public key.
    pub const PUB_KEY_NOT_FOUND: Registered = Registered::new(SPACE, 1114, "public key not found");
    /// The session header breaks a rule of §2.2.
    pub const INVALID_SESSION_HEADER: Registered = Registered::new(SPACE, 1115, "invalid session header");
    /// The session id is not the chain's.
    pub const INVALID_SESSION_ID: Registered = Registered::new(SPACE, 1116, "invalid session ID");
    /// Claim and proof name different session ends.
    pub const INVALID_SESSION_END_HEIGHT: Registered = Registered::new(SPACE, 1117, "invalid session end height");
    /// Claim and proof name different session starts.
    pub const INVALID_SESSION_START_HEIGHT: Registered = Registered::new(SPACE, 1118, "invalid session start height");
    /// A parameter breaks a rule.
    pub const PARAM_INVALID: Registered = Registered::new(SPACE, 1120, "the provided param is invalid");
    /// The claim came too early or too late (§5.3).
    pub const CLAIM_OUTSIDE_OF_WINDOW: Registered =
        Registered::new(SPACE, 1121, "claim attempted outside of the session's claim window");
    /// The proof came too early or too late (§5.3).
    pub const PROOF_OUTSIDE_OF_WINDOW: Registered =
        Registered::new(SPACE, 1122, "proof attempted outside of the session's proof window");
    /// The proved relay was made for another supplier.
    pub const SUPPLIER_MISMATCH: Registered =
        Registered::new(SPACE, 1123, "supplier operator address does not match the claim or proof");
    /// No such account.
    pub const ACCOUNT_NOT_FOUND: Registered = Registered::new(SPACE, 1124, "account not found");
    /// No such service.
    pub const SERVICE_NOT_FOUND: Registered = Registered::new(SPACE, 1125, "service not found");
    /// The claimed sum is not the count times the service's price.
    pub const COMPUTE_UNITS_MISMATCH: Registered = Registered::new(
        SPACE,
        1126,
        "mismatch: claim compute units != number of relays * service compute units per relay",
    );
    /// The operator cannot pay the submission fee.
    pub const NOT_ENOUGH_FUNDS: Registered = Registered::new(SPACE, 1127, "not enough funds to submit proof");
    /// The submission fee could not be moved.
    pub const FAILED_TO_DEDUCT_FEE: Registered = Registered::new(SPACE, 1128, "failed to deduct proof submission fee");
    /// The claim settles without a proof (§8.4).
    pub const NOT_REQUIRED: Registered = Registered::new(SPACE, 1129, "proof not required");
    /// The proved relay misses the service's difficulty (§7.1).
    pub const INVALID_RELAY_DIFFICULTY: Registered = Registered::new(SPACE, 1130, "invalid relay difficulty");
    /// The claimed amount cannot be computed.
    pub const INVALID_CLAIMED_AMOUNT: Registered = Registered::new(SPACE, 1131, "invalid claimed amount");
}

/// Module `tokenomics` (§1.10).
pub mod tokenomics {
    use super::super::Registered;

    const SPACE: &str = "tokenomics";

    /// A parameter breaks a rule.
    pub const PARAM_INVALID: Registered = Registered::new(SPACE, 1112, "the provided param is invalid");
}

/// Verification of relay requests (§3.6).
pub mod rings {
    use super::super::Registered;

    const SPACE: &str = "rings";

    /// An account's key is of another curve.
    pub const NOT_SECP256K1: Registered = Registered::new(SPACE, 1, "key is not a secp256k1 public key");
    /// The request cannot be checked.
    pub const INVALID_RELAY_REQUEST: Registered = Registered::new(SPACE, 2, "invalid relay request");
    /// The signature does not vouch for the request.
    pub const INVALID_SIGNATURE: Registered = Registered::new(SPACE, 3, "invalid relay request signature");
}

/// The SDK's own codespace (§9.3).
pub mod sdk {
    use super::super::Registered;

    const SPACE: &str = "sdk";

    /// The bytes are no transaction.
    pub const TX_DECODE: Registered = Registered::new(SPACE, 2, "tx parse error");
    /// A signature does not verify, or the wrong accounts signed.
    pub const UNAUTHORIZED: Registered = Registered::new(SPACE, 4, "unauthorized");
    /// The fee payer cannot pay.
    pub const INSUFFICIENT_FUNDS: Registered = Registered::new(SPACE, 5, "insufficient funds");
    /// No handler for a message.
    pub const UNKNOWN_REQUEST: Registered = Registered::new(SPACE, 6, "unknown request");
    /// An address is not bech32 of this chain.
    pub const INVALID_ADDRESS: Registered = Registered::new(SPACE, 7, "invalid address");
    /// A public key is missing, malformed or not the signer's.
    pub const INVALID_PUB_KEY: Registered = Registered::new(SPACE, 8, "invalid pubkey");
    /// No such account.
    pub const UNKNOWN_ADDRESS: Registered = Registered::new(SPACE, 9, "unknown address");
    /// Coins are negative, unsorted or of a strange denomination.
    pub const INVALID_COINS: Registered = Registered::new(SPACE, 10, "invalid coins");
    /// The gas limit is used up.
    pub const OUT_OF_GAS: Registered = Registered::new(SPACE, 11, "out of gas");
    /// The memo is longer than the chain allows.
    pub const MEMO_TOO_LARGE: Registered = Registered::new(SPACE, 12, "memo too large");
    /// The fee is below the node's minimum.
    pub const INSUFFICIENT_FEE: Registered = Registered::new(SPACE, 13, "insufficient fee");
    /// More signatures than the chain allows.
    pub const TOO_MANY_SIGNATURES: Registered = Registered::new(SPACE, 14, "maximum number of signatures exceeded");
    /// No signature at all.
    pub const NO_SIGNATURES: Registered = Registered::new(SPACE, 15, "no signatures supplied");
    /// Rules of unordered transactions, empty transactions and the like.
    pub const INVALID_REQUEST: Registered = Registered::new(SPACE, 18, "invalid request");
    /// The very bytes are in the mempool already.
    pub const TX_IN_MEMPOOL_CACHE: Registered = Registered::new(SPACE, 19, "tx already in mempool");
    /// The mempool is full.
    pub const MEMPOOL_IS_FULL: Registered = Registered::new(SPACE, 20, "mempool is full");
    /// The transaction is larger than a block.
    pub const TX_TOO_LARGE: Registered = Registered::new(SPACE, 21, "tx too large");
    /// A height that is not there (yet).
    pub const INVALID_HEIGHT: Registered = Registered::new(SPACE, 26, "invalid height");
    /// The timeout height has passed.
    pub const TX_TIMEOUT_HEIGHT: Registered = Registered::new(SPACE, 30, "tx timeout height");
    /// An extension option nobody knows.
    pub const UNKNOWN_EXTENSION_OPTIONS: Registered = Registered::new(SPACE, 31, "unknown extension options");
    /// The account's sequence is another.
    pub const WRONG_SEQUENCE: Registered = Registered::new(SPACE, 32, "incorrect account sequence");
    /// The timeout has passed.
    pub const TX_TIMEOUT: Registered = Registered::new(SPACE, 42, "tx timeout");
}

/// Failures that are nobody's registered error (§9.3).
pub mod undefined {
    use super::super::Registered;

    const SPACE: &str = "undefined";

    /// What a message handler refused with a gRPC status.
    pub const FAILED_MESSAGE: Registered = Registered::new(SPACE, 1, "failed to execute message");
    /// What a message handler tripped over.
    pub const RECOVERED: Registered = Registered::new(SPACE, 111_222, "recovered");
}
