//! Whether a server is fit to keep money: asked once, at start.

use std::collections::BTreeMap;
use std::time::Duration;

use super::link::Link;
use crate::error::StoreError;
use crate::store::Durability;

/// The oldest server whose commands suffice.
pub(super) const VERSION_MIN: (u64, u64) = (6, 2);
/// The oldest server that can be asked to wait for its own disk.
const VERSION_WAITAOF: (u64, u64) = (7, 2);

/// What was found out about the server.
#[derive(Debug, Clone)]
pub(super) struct Capabilities {
    /// Its version, for people.
    pub(super) version: String,
    /// Whether `WAITAOF` is to be sent after what must be on disk.
    pub(super) wait_aof: bool,
}

/// Asks the server what it is and refuses it, with a remedy, if it would lose what it acknowledges.
pub(super) async fn check(link: &Link, durability: Durability, limit: Duration) -> Result<Capabilities, StoreError> {
    let mut ask = redis::pipe();
    ask.cmd("INFO");
    let (info,): (String,) = link.run("ask the Redis server what it is", limit, &ask).await?;
    let info = parse_info(&info);
    let appendfsync = setting(link, "appendfsync", limit).await;
    judge(&info, appendfsync.as_deref(), durability)
}

/// Reads one setting; none where the server does not tell.
async fn setting(link: &Link, name: &str, limit: Duration) -> Option<String> {
    let mut ask = redis::pipe();
    ask.cmd("CONFIG").arg("GET").arg(name);
    let answer: Result<(BTreeMap<String, String>,), _> =
        link.run("read a setting of the Redis server", limit, &ask).await;
    answer.ok().and_then(|(settings,)| settings.get(name).cloned())
}

fn parse_info(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect()
}

fn parse_version(text: &str) -> Option<(u64, u64)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn refuse(problem: String, remedy: &str) -> StoreError {
    StoreError::Setup { problem, remedy: remedy.to_owned() }
}

fn judge(
    info: &BTreeMap<String, String>,
    appendfsync: Option<&str>,
    durability: Durability,
) -> Result<Capabilities, StoreError> {
    let field = |name: &str| info.get(name).map_or("", String::as_str);
    let version = field("redis_version").to_owned();
    let Some(number) = parse_version(&version) else {
        return Err(refuse(
            format!("the server at redis.url says version `{version}`"),
            "point redis.url at a Redis or Valkey server",
        ));
    };
    if number < VERSION_MIN {
        let (major, minor) = VERSION_MIN;
        return Err(refuse(
            format!("the Redis server is version {version}, and {major}.{minor} is the oldest that can serve"),
            "upgrade it; 7.0 and 8.2 are the versions that are tested",
        ));
    }
    if field("cluster_enabled") == "1" || field("redis_mode") == "cluster" {
        return Err(refuse(
            "the Redis server runs in cluster mode, which this version does not speak".to_owned(),
            "point redis.url at a standalone server",
        ));
    }
    if field("role") == "slave" {
        return Err(refuse(
            "the Redis server is a replica and refuses writes".to_owned(),
            "point redis.url at its master",
        ));
    }
    let policy = field("maxmemory_policy");
    if !policy.is_empty() && policy != "noeviction" {
        return Err(refuse(
            format!(
                "the Redis server may evict keys (maxmemory-policy {policy}), and with them relays that were served"
            ),
            "run `CONFIG SET maxmemory-policy noeviction` and set it in redis.conf",
        ));
    }
    let aof = field("aof_enabled") == "1";
    if durability == Durability::Disk {
        if !aof {
            return Err(refuse(
                "store.durability is `disk`, and the Redis server keeps no append-only file".to_owned(),
                "run `CONFIG SET appendonly yes` and set it in redis.conf, or choose store.durability `process`",
            ));
        }
        let wait_aof = number >= VERSION_WAITAOF;
        if !wait_aof && appendfsync != Some("always") {
            return Err(refuse(
                format!("store.durability is `disk`, and Redis {version} cannot be asked to wait for its disk"),
                "run `CONFIG SET appendfsync always` and set it in redis.conf, or use Redis 7.2 or later",
            ));
        }
        if appendfsync != Some("always") {
            tracing::warn!(
                "each append waits for the Redis server's next sync, up to a second; run `CONFIG SET appendfsync always` \
                 and set it in redis.conf to have it sync at once"
            );
        }
        return Ok(Capabilities { version, wait_aof: wait_aof && appendfsync != Some("always") });
    }
    if !aof {
        tracing::warn!(
            "the Redis server keeps no append-only file: what it has acknowledged is lost if it is restarted; run \
             `CONFIG SET appendonly yes` and set it in redis.conf"
        );
    }
    Ok(Capabilities { version, wait_aof: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
        let good = [
            ("redis_version", "7.0.15"),
            ("redis_mode", "standalone"),
            ("role", "master"),
            ("maxmemory_policy", "noeviction"),
            ("aof_enabled", "1"),
        ];
        good.iter().chain(changes).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[track_caller]
    fn check(changes: &[(&str, &str)], fsync: Option<&str>, durability: Durability, expected: &str) {
        let said = match judge(&info(changes), fsync, durability) {
            Ok(found) => format!("ok {}", found.wait_aof),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(expected), "`{said}` does not say `{expected}`");
    }

    #[test]
    fn a_server_that_would_lose_relays_is_refused_with_a_remedy() {
        check(&[("redis_version", "6.0.16")], None, Durability::Process, "upgrade it");
        check(&[("redis_version", "what")], None, Durability::Process, "point redis.url at");
        check(&[("maxmemory_policy", "allkeys-lru")], None, Durability::Process, "maxmemory-policy noeviction");
        check(&[("cluster_enabled", "1")], None, Durability::Process, "cluster mode");
        check(&[("role", "slave")], None, Durability::Process, "at its master");
        check(&[("aof_enabled", "0")], Some("always"), Durability::Disk, "appendonly yes");
        check(&[], Some("everysec"), Durability::Disk, "appendfsync always");
    }

    #[test]
    fn a_server_is_taken_at_the_level_it_can_keep() {
        check(&[], Some("everysec"), Durability::Process, "ok false");
        check(&[("aof_enabled", "0")], None, Durability::Process, "ok false");
        check(&[], Some("always"), Durability::Disk, "ok false");
        check(&[("redis_version", "8.2.3")], Some("everysec"), Durability::Disk, "ok true");
    }
}
