//! One connection to the server, made anew when it breaks.

use std::time::Duration;

use pocket_runtime::clock;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, Pipeline, RedisError};
use tokio::sync::Mutex;

use super::scripts;
use crate::error::StoreError;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Waits between tries of one operation; the last one repeats until the operation's own time is over.
pub(super) const RETRY_DELAYS: [Duration; 4] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(250), Duration::from_millis(500)];

/// A connection for one purpose. Commands of all tasks share it; the server answers them in order.
pub(super) struct Link {
    client: Client,
    // How long one answer may take; none where the server is asked to wait.
    answer_timeout: Option<Duration>,
    // Held while connecting, so that a broken connection is replaced once; never while a command is under way.
    current: Mutex<Option<Numbered>>,
}

#[derive(Clone)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
}

impl Link {
    pub(super) fn new(client: Client, answer_timeout: Option<Duration>) -> Self {
        Self { client, answer_timeout, current: Mutex::new(None) }
    }

    async fn connection(&self) -> Result<Numbered, RedisError> {
        let mut current = self.current.lock().await;
        if let Some(current) = &*current {
            return Ok(current.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(self.answer_timeout);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        load_scripts(&mut connection).await?;
        let fresh = Numbered { number: pocket_runtime::random::u64(), connection };
        *current = Some(fresh.clone());
        Ok(fresh)
    }

    async fn drop_connection(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|current| current.number == number) {
            *current = None;
        }
    }

    /// Drops the connection, whatever is under way on it.
    pub(super) async fn reset(&self) {
        *self.current.lock().await = None;
    }

    /// Sends commands until they succeed, fail for good, or `limit` has passed. Repeating them must be harmless.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        limit: Duration,
        commands: &Pipeline,
    ) -> Result<T, StoreError> {
        let deadline = clock::now() + limit;
        let mut attempt = 0;
        loop {
            let error = match self.once(commands).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let delay = RETRY_DELAYS[attempt.min(RETRY_DELAYS.len() - 1)];
            if !is_passing(&error) || clock::now() + delay >= deadline {
                return Err(StoreError::unavailable(operation, error));
            }
            tracing::debug!(operation, attempt, error = %error, "trying again");
            attempt += 1;
            tokio::time::sleep(delay).await;
        }
    }

    /// Sends commands once.
    pub(super) async fn once<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, RedisError> {
        let Numbered { number, mut connection } = self.connection().await?;
        let mut result = commands.query_async(&mut connection).await;
        if result.as_ref().err().is_some_and(|error| has_code(error, &["NOSCRIPT"])) {
            // The server was restarted behind a proxy, or somebody flushed its scripts.
            load_scripts(&mut connection).await?;
            result = commands.query_async(&mut connection).await;
        }
        if let Err(error) = &result
            && is_broken(error)
        {
            self.drop_connection(number).await;
        }
        result
    }
}

async fn load_scripts(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let mut commands = redis::pipe();
    for text in scripts::TEXTS {
        commands.cmd("SCRIPT").arg("LOAD").arg(text).ignore();
    }
    commands.query_async(connection).await
}

/// Returns whether the connection is of no more use: dropped, or silent for longer than it may be.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped() || error.kind() == ErrorKind::Parse
}

/// Returns whether the same command may succeed a little later.
fn is_passing(error: &RedisError) -> bool {
    const CODES: [&str; 9] =
        ["LOADING", "MASTERDOWN", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "BUSY", "OOM", "MISCONF", "NOREPLICAS"];
    is_broken(error) || error.is_connection_refusal() || has_code(error, &CODES)
}

/// Returns whether the server answered a command, or one of a pipeline, with one of these error codes.
pub(super) fn has_code(error: &RedisError, codes: &[&str]) -> bool {
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().any(|(_, error)| codes.contains(&error.code())))
}
