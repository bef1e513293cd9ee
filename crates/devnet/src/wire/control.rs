//! The hands on the chain: time, snapshots, faults, over gRPC on a loopback listener of its own.

use pocket_proto::{
    DESCRIPTOR_SET,
    pocket::devnet::v1::{
        AdvanceRequest, AdvanceResponse, ClearFaultsRequest, ClearFaultsResponse, FaultRequest, FaultResponse,
        HaltRequest, HaltResponse, ListFaultsRequest, ListFaultsResponse, RestoreRequest, RestoreResponse,
        ResumeRequest, ResumeResponse, SetTimeRequest, SetTimeResponse, SnapshotRequest, SnapshotResponse,
        StatusRequest, StatusResponse, TimeMode, WarpToRequest, WarpToResponse, control_server,
        warp_to_request::Target,
    },
};
use pocket_runtime::task;
use tonic::{Request, Response, Status, service::Routes};

use crate::{
    chain::{Chain, MakeError, RestoreError, Warp},
    clock::Pace,
};

/// Serves `pocket.devnet.v1.Control`.
#[derive(Debug, Clone)]
pub(super) struct Control {
    pub(super) chain: Chain,
}

impl Control {
    pub(super) fn routes(self) -> Routes {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .build_v1()
            .expect("our own descriptors are whole");
        Routes::new(control_server::ControlServer::new(self)).add_service(reflection)
    }

    /// Makes blocks away from the threads that serve.
    async fn make(&self, work: impl FnOnce(&Chain) -> Result<i64, MakeError> + Send + 'static) -> Result<i64, Status> {
        let chain = self.chain.clone();
        let made = task::blocking("devnet-advance", move || work(&chain)).await;
        let made = made.map_err(|error| Status::internal(error.to_string()))?;
        made.map_err(|error| match error {
            MakeError::TooMany { .. } => Status::invalid_argument(error.to_string()),
            MakeError::Halted { .. } | MakeError::Behind { .. } => Status::failed_precondition(error.to_string()),
            MakeError::Journal(_) | MakeError::Folder(_) => Status::internal(pocket_runtime::process::chain(&error)),
        })
    }
}

fn mode_of(pace: Pace) -> i32 {
    let mode = match pace {
        Pace::Interval => TimeMode::Interval,
        Pace::Instant => TimeMode::Instant,
        Pace::Manual => TimeMode::Manual,
    };
    mode.into()
}

fn warp(target: Option<Target>) -> Result<Warp, Status> {
    match target {
        Some(Target::Height(height)) => Ok(Warp::Height(height)),
        Some(Target::Window(name)) => match name.as_str() {
            "session-end" => Ok(Warp::SessionEnd),
            "claim-window" => Ok(Warp::ClaimWindow),
            "proof-window" => Ok(Warp::ProofWindow),
            "settlement" => Ok(Warp::Settlement),
            other => Err(Status::invalid_argument(format!(
                "window `{other}` is unknown; use session-end, claim-window, proof-window or settlement"
            ))),
        },
        None => Err(Status::invalid_argument("say where to: a height or a window")),
    }
}

#[tonic::async_trait]
impl control_server::Control for Control {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let status = self.chain.status();
        let state = &status.state;
        let session = state.shared_at(state.height.max(1)).session_at(state.height.max(1));
        Ok(Response::new(StatusResponse {
            chain_id: status.chain_id.to_string(),
            height: state.height,
            block_hash: status.latest.as_ref().map(|block| hex::encode_upper(block.id.hash)).unwrap_or_default(),
            block_time: status.latest.as_ref().map(|block| block.header.time.to_proto()),
            mode: mode_of(status.clock.pace),
            interval_ms: status.clock.interval_ms,
            halted: status.halted,
            mempool_transactions: status.mempool as u64,
            session_start_height: session.start,
            session_end_height: session.end,
            claims: state.claims.size() as u64,
            snapshots: status.snapshots,
            faults: u32::try_from(status.faults.len()).unwrap_or(u32::MAX),
        }))
    }

    async fn advance(&self, request: Request<AdvanceRequest>) -> Result<Response<AdvanceResponse>, Status> {
        let blocks = request.into_inner().blocks.max(1);
        let height = self.make(move |chain| chain.advance(blocks)).await?;
        Ok(Response::new(AdvanceResponse { height }))
    }

    async fn warp_to(&self, request: Request<WarpToRequest>) -> Result<Response<WarpToResponse>, Status> {
        let to = warp(request.into_inner().target)?;
        let height = self.make(move |chain| chain.warp(to)).await?;
        Ok(Response::new(WarpToResponse { height }))
    }

    async fn set_time(&self, request: Request<SetTimeRequest>) -> Result<Response<SetTimeResponse>, Status> {
        let request = request.into_inner();
        let pace = match TimeMode::try_from(request.mode) {
            Ok(TimeMode::Interval) => Pace::Interval,
            Ok(TimeMode::Instant) => Pace::Instant,
            Ok(TimeMode::Manual) => Pace::Manual,
            _ => return Err(Status::invalid_argument("mode is missing; use interval, instant or manual")),
        };
        let clock = self.chain.set_time(pace, request.interval_ms);
        Ok(Response::new(SetTimeResponse { mode: mode_of(clock.pace), interval_ms: clock.interval_ms }))
    }

    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Result<Response<SnapshotResponse>, Status> {
        let (id, height) = self.chain.snapshot();
        Ok(Response::new(SnapshotResponse { id, height }))
    }

    async fn restore(&self, request: Request<RestoreRequest>) -> Result<Response<RestoreResponse>, Status> {
        let (chain, id) = (self.chain.clone(), request.into_inner().id);
        let restored = task::blocking("devnet-restore", move || chain.restore(&id)).await;
        let height = restored.map_err(|error| Status::internal(error.to_string()))?.map_err(|error| match error {
            RestoreError::Unknown(_) => Status::not_found(error.to_string()),
            RestoreError::Journal(_) => Status::internal(pocket_runtime::process::chain(&error)),
        })?;
        Ok(Response::new(RestoreResponse { height }))
    }

    async fn halt(&self, _: Request<HaltRequest>) -> Result<Response<HaltResponse>, Status> {
        Ok(Response::new(HaltResponse { height: self.chain.halt() }))
    }

    async fn resume(&self, _: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        Ok(Response::new(ResumeResponse { height: self.chain.resume() }))
    }

    async fn fault(&self, request: Request<FaultRequest>) -> Result<Response<FaultResponse>, Status> {
        let fault = request.into_inner().fault.ok_or_else(|| Status::invalid_argument("the fault is missing"))?;
        let id = self.chain.fault(fault).map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Response::new(FaultResponse { id }))
    }

    async fn list_faults(&self, _: Request<ListFaultsRequest>) -> Result<Response<ListFaultsResponse>, Status> {
        Ok(Response::new(ListFaultsResponse { faults: self.chain.faults() }))
    }

    async fn clear_faults(
        &self,
        request: Request<ClearFaultsRequest>,
    ) -> Result<Response<ClearFaultsResponse>, Status> {
        let cleared = self.chain.clear_faults(&request.into_inner().ids);
        Ok(Response::new(ClearFaultsResponse { cleared }))
    }
}
