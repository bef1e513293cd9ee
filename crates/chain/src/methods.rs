//! The methods of a node that are called: where they are, what they take and give.

use pocket_proto::cosmos::auth::v1beta1 as auth;
use pocket_proto::cosmos::bank::v1beta1 as bank;
use pocket_proto::cosmos::tx::v1beta1 as tx;
use pocket_proto::pocket::{application, proof, service, session, shared, supplier};

use crate::node::Method;

pub(crate) const ACCOUNT: Method<auth::QueryAccountRequest, auth::QueryAccountResponse> =
    Method::new("/cosmos.auth.v1beta1.Query/Account");
pub(crate) const BALANCE: Method<bank::QueryBalanceRequest, bank::QueryBalanceResponse> =
    Method::new("/cosmos.bank.v1beta1.Query/Balance");
pub(crate) const BROADCAST_TX: Method<tx::BroadcastTxRequest, tx::BroadcastTxResponse> =
    Method::new("/cosmos.tx.v1beta1.Service/BroadcastTx");
pub(crate) const TX: Method<tx::GetTxRequest, tx::GetTxResponse> = Method::new("/cosmos.tx.v1beta1.Service/GetTx");
pub(crate) const SIMULATE: Method<tx::SimulateRequest, tx::SimulateResponse> =
    Method::new("/cosmos.tx.v1beta1.Service/Simulate");
pub(crate) const APPLICATION: Method<
    application::QueryGetApplicationRequest,
    application::QueryGetApplicationResponse,
> = Method::new("/pocket.application.Query/Application");
pub(crate) const ALL_CLAIMS: Method<proof::QueryAllClaimsRequest, proof::QueryAllClaimsResponse> =
    Method::new("/pocket.proof.Query/AllClaims");
pub(crate) const CLAIM: Method<proof::QueryGetClaimRequest, proof::QueryGetClaimResponse> =
    Method::new("/pocket.proof.Query/Claim");
pub(crate) const PROOF_PARAMS: Method<proof::QueryParamsRequest, proof::QueryParamsResponse> =
    Method::new("/pocket.proof.Query/Params");
pub(crate) const COMPUTE_UNITS_AT_HEIGHT: Method<
    service::QueryGetComputeUnitsPerRelayAtHeightRequest,
    service::QueryGetComputeUnitsPerRelayAtHeightResponse,
> = Method::new("/pocket.service.Query/ComputeUnitsPerRelayAtHeight");
pub(crate) const DIFFICULTY_AT_HEIGHT: Method<
    service::QueryGetRelayMiningDifficultyAtHeightRequest,
    service::QueryGetRelayMiningDifficultyAtHeightResponse,
> = Method::new("/pocket.service.Query/RelayMiningDifficultyAtHeight");
pub(crate) const SERVICE: Method<service::QueryGetServiceRequest, service::QueryGetServiceResponse> =
    Method::new("/pocket.service.Query/Service");
pub(crate) const SESSION: Method<session::QueryGetSessionRequest, session::QueryGetSessionResponse> =
    Method::new("/pocket.session.Query/GetSession");
pub(crate) const SESSION_PARAMS: Method<session::QueryParamsRequest, session::QueryParamsResponse> =
    Method::new("/pocket.session.Query/Params");
pub(crate) const SHARED_PARAMS_AT_HEIGHT: Method<
    shared::QueryParamsAtHeightRequest,
    shared::QueryParamsAtHeightResponse,
> = Method::new("/pocket.shared.Query/ParamsAtHeight");
pub(crate) const SUPPLIER: Method<supplier::QueryGetSupplierRequest, supplier::QueryGetSupplierResponse> =
    Method::new("/pocket.supplier.Query/Supplier");
