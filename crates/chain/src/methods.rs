//! The methods of a node that are called: where they are, what they take and give, and how the chain refuses them.
//!
//! A refusal that is not here is none: see [`crate::verdict`].

use pocket_proto::cosmos::auth::v1beta1 as auth;
use pocket_proto::cosmos::bank::v1beta1 as bank;
use pocket_proto::cosmos::tx::v1beta1 as tx;
use pocket_proto::pocket::{application, proof, service, session, shared, supplier};
use pocket_protocol::error::codes;
use tonic::Code;

use crate::node::Method;
use crate::verdict::Refusal;

pub(crate) const ACCOUNT: Method<auth::QueryAccountRequest, auth::QueryAccountResponse> = Method::new(
    "/cosmos.auth.v1beta1.Query/Account",
    &[
        Refusal::like(Code::NotFound, "account * not found"),
        Refusal::like(Code::InvalidArgument, "Address cannot be empty"),
        Refusal::like(Code::Unknown, "decoding bech32 failed: *"),
    ],
);
pub(crate) const BALANCE: Method<bank::QueryBalanceRequest, bank::QueryBalanceResponse> =
    Method::new("/cosmos.bank.v1beta1.Query/Balance", &[Refusal::like(Code::InvalidArgument, "invalid address: *")]);
pub(crate) const BROADCAST_TX: Method<tx::BroadcastTxRequest, tx::BroadcastTxResponse> =
    Method::new("/cosmos.tx.v1beta1.Service/BroadcastTx", &[]);
pub(crate) const TX: Method<tx::GetTxRequest, tx::GetTxResponse> = Method::new(
    "/cosmos.tx.v1beta1.Service/GetTx",
    &[
        Refusal::like(Code::NotFound, "tx not found: *"),
        Refusal::like(Code::InvalidArgument, "tx hash cannot be empty"),
        Refusal::like(Code::Unknown, "encoding/hex: *"),
    ],
);
pub(crate) const SIMULATE: Method<tx::SimulateRequest, tx::SimulateResponse> = Method::new(
    "/cosmos.tx.v1beta1.Service/Simulate",
    &[
        // Whatever made the messages fail: only who has run them knows what gas they used.
        Refusal::like(Code::Unknown, "* with gas used: '*'"),
    ],
);
pub(crate) const APPLICATION: Method<
    application::QueryGetApplicationRequest,
    application::QueryGetApplicationResponse,
> = Method::new(
    "/pocket.application.Query/Application",
    &[Refusal::of(Code::NotFound, &codes::application::NOT_FOUND)],
);
pub(crate) const ALL_CLAIMS: Method<proof::QueryAllClaimsRequest, proof::QueryAllClaimsResponse> =
    Method::new("/pocket.proof.Query/AllClaims", &[]);
pub(crate) const CLAIM: Method<proof::QueryGetClaimRequest, proof::QueryGetClaimResponse> = Method::new(
    "/pocket.proof.Query/Claim",
    &[
        Refusal::of(Code::NotFound, &codes::proof::CLAIM_NOT_FOUND),
        Refusal::of(Code::InvalidArgument, &codes::proof::INVALID_SESSION_ID),
        Refusal::of(Code::InvalidArgument, &codes::proof::INVALID_ADDRESS),
    ],
);
pub(crate) const PROOF_PARAMS: Method<proof::QueryParamsRequest, proof::QueryParamsResponse> =
    Method::new("/pocket.proof.Query/Params", &[]);
pub(crate) const COMPUTE_UNITS_AT_HEIGHT: Method<
    service::QueryGetComputeUnitsPerRelayAtHeightRequest,
    service::QueryGetComputeUnitsPerRelayAtHeightResponse,
> = Method::new(
    "/pocket.service.Query/ComputeUnitsPerRelayAtHeight",
    &[
        Refusal::of(Code::NotFound, &codes::service::NOT_FOUND),
        Refusal::like(Code::InvalidArgument, "service ID is required"),
    ],
);
pub(crate) const DIFFICULTY_AT_HEIGHT: Method<
    service::QueryGetRelayMiningDifficultyAtHeightRequest,
    service::QueryGetRelayMiningDifficultyAtHeightResponse,
> = Method::new(
    "/pocket.service.Query/RelayMiningDifficultyAtHeight",
    &[
        Refusal::of(Code::NotFound, &codes::service::NOT_FOUND),
        Refusal::like(Code::InvalidArgument, "service ID is required"),
    ],
);
pub(crate) const SERVICE: Method<service::QueryGetServiceRequest, service::QueryGetServiceResponse> =
    Method::new("/pocket.service.Query/Service", &[Refusal::like(Code::NotFound, "service ID not found: *")]);
pub(crate) const SESSION: Method<session::QueryGetSessionRequest, session::QueryGetSessionResponse> = Method::new(
    "/pocket.session.Query/GetSession",
    &[
        Refusal::of(Code::Internal, &codes::session::APP_NOT_FOUND),
        Refusal::of(Code::Internal, &codes::session::APP_NOT_ACTIVE),
        Refusal::of(Code::Internal, &codes::session::APP_NOT_STAKED_FOR_SERVICE),
        Refusal::of(Code::Internal, &codes::session::SUPPLIERS_NOT_FOUND),
        Refusal::of(Code::InvalidArgument, &codes::session::INVALID_APP_ADDRESS),
        Refusal::of(Code::InvalidArgument, &codes::session::INVALID_BLOCK_HEIGHT),
        Refusal::of(Code::InvalidArgument, &codes::shared::INVALID_SERVICE_ID),
    ],
);
pub(crate) const SESSION_PARAMS: Method<session::QueryParamsRequest, session::QueryParamsResponse> =
    Method::new("/pocket.session.Query/Params", &[]);
pub(crate) const SHARED_PARAMS_AT_HEIGHT: Method<
    shared::QueryParamsAtHeightRequest,
    shared::QueryParamsAtHeightResponse,
> = Method::new(
    "/pocket.shared.Query/ParamsAtHeight",
    &[Refusal::like(Code::InvalidArgument, "height must be non-negative")],
);
pub(crate) const SUPPLIER: Method<supplier::QueryGetSupplierRequest, supplier::QueryGetSupplierResponse> =
    Method::new("/pocket.supplier.Query/Supplier", &[Refusal::of(Code::NotFound, &codes::supplier::NOT_FOUND)]);
