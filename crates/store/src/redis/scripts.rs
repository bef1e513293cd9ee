//! The scripts: one atomic step each, named by the digest of their text.

use redis::{Cmd, Script};

/// A script that the server has been told.
pub(super) struct Scripts {
    pub(super) append: Script,
    pub(super) commit: Script,
    pub(super) session_put: Script,
    pub(super) forget: Script,
    pub(super) quarantine: Script,
    pub(super) lease_acquire: Script,
    pub(super) lease_renew: Script,
    pub(super) lease_release: Script,
    pub(super) reserve: Script,
    pub(super) give_back: Script,
    pub(super) count: Script,
    pub(super) block: Script,
    pub(super) measure: Script,
    pub(super) close: Script,
}

/// The texts, to be loaded into every server we connect to.
pub(super) const TEXTS: [&str; 14] = [
    include_str!("append.lua"),
    include_str!("commit.lua"),
    include_str!("session_put.lua"),
    include_str!("forget.lua"),
    include_str!("quarantine.lua"),
    include_str!("lease_acquire.lua"),
    include_str!("lease_renew.lua"),
    include_str!("lease_release.lua"),
    include_str!("reserve.lua"),
    include_str!("give_back.lua"),
    include_str!("count.lua"),
    include_str!("block.lua"),
    include_str!("measure.lua"),
    include_str!("close.lua"),
];

impl Scripts {
    pub(super) fn new() -> Self {
        let [
            append,
            commit,
            session_put,
            forget,
            quarantine,
            acquire,
            renew,
            release,
            reserve,
            give,
            count,
            block,
            measure,
            close,
        ] = TEXTS.map(Script::new);
        Self {
            append,
            commit,
            session_put,
            forget,
            quarantine,
            lease_acquire: acquire,
            lease_renew: renew,
            lease_release: release,
            reserve,
            give_back: give,
            count,
            block,
            measure,
            close,
        }
    }
}

/// Returns the command that runs a script on these keys; add its arguments.
pub(super) fn call<'a>(script: &Script, keys: impl IntoIterator<Item = &'a str>) -> Cmd {
    let keys: Vec<&str> = keys.into_iter().collect();
    let mut command = redis::cmd("EVALSHA");
    command.arg(script.get_hash()).arg(keys.len()).arg(keys);
    command
}
