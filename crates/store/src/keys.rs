//! Every key and channel name, built in one place.
//!
//! Two families. *Boundary* names are shared with the Go programs, name for name, so that replicas of both run side by
//! side: streams, block events, supplier states, service factors, meter, caches. *Own* names are read by our processes
//! alone; each carries the supplier's whole stream key as its hash tag, so that everything that changes together with the
//! stream lives in the stream's slot under any namespace.

use serde::{Deserialize, Serialize};

/// The prefixes that name every key. Each empty prefix falls back to its default on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// First part of every name, `ha`.
    pub base: String,
    /// Shared caches of chain facts, `cache`.
    pub cache: String,
    /// Publish/subscribe channels, `events`.
    pub events: String,
    /// Relay streams, `relays`.
    pub streams: String,
    /// What miners keep among themselves, `miner`.
    pub miner: String,
    /// Supplier states, `supplier`.
    pub supplier: String,
    /// The relay meter's set and channel, `meter`.
    pub meter: String,
    /// Parameters, `params`. Kept for the reference's files; no name of ours uses it.
    pub params: String,
    /// Consumer group of the relay streams, `miners`.
    pub consumer_group: String,
    /// First part of the meter's own keys, `ha`: the reference keeps it apart from `base`.
    pub meter_key: String,
}

impl Default for Namespace {
    fn default() -> Self {
        Self {
            base: String::new(),
            cache: String::new(),
            events: String::new(),
            streams: String::new(),
            miner: String::new(),
            supplier: String::new(),
            meter: String::new(),
            params: String::new(),
            consumer_group: String::new(),
            meter_key: String::new(),
        }
        .or_defaults()
    }
}

impl Namespace {
    /// Returns this namespace with every empty prefix replaced by its default.
    #[must_use]
    pub fn or_defaults(self) -> Self {
        let or = |value: String, default: &str| if value.is_empty() { default.to_owned() } else { value };
        Self {
            base: or(self.base, "ha"),
            cache: or(self.cache, "cache"),
            events: or(self.events, "events"),
            streams: or(self.streams, "relays"),
            miner: or(self.miner, "miner"),
            supplier: or(self.supplier, "supplier"),
            meter: or(self.meter, "meter"),
            params: or(self.params, "params"),
            consumer_group: or(self.consumer_group, "miners"),
            meter_key: or(self.meter_key, "ha"),
        }
    }

    /// Returns what a process' settings say; `meter_key` is `relay_meter.redis_key_prefix`.
    pub fn from_settings(settings: &pocket_config::common::Namespace, meter_key: &str) -> Self {
        Self {
            base: settings.base_prefix.clone(),
            cache: settings.cache_prefix.clone(),
            events: settings.events_prefix.clone(),
            streams: settings.streams_prefix.clone(),
            miner: settings.miner_prefix.clone(),
            supplier: settings.supplier_prefix.clone(),
            meter: settings.meter_prefix.clone(),
            params: settings.params_prefix.clone(),
            consumer_group: settings.consumer_group_prefix.clone(),
            meter_key: meter_key.to_owned(),
        }
        .or_defaults()
    }

    // Boundary names: the relay log.

    /// Returns the prefix of relay streams, without the last colon.
    pub fn stream_prefix(&self) -> String {
        format!("{}:{}", self.base, self.streams)
    }

    /// Returns the relay stream of a supplier.
    pub fn stream(&self, supplier: &str) -> String {
        format!("{}:{}:{supplier}", self.base, self.streams)
    }

    /// Returns the consumer group of every relay stream.
    pub fn consumer_group(&self) -> String {
        format!("{}-{}", self.base, self.consumer_group)
    }

    // Boundary names: channels.

    /// Returns the channel of new blocks.
    pub fn block_channel(&self) -> String {
        format!("{}:{}:blocks", self.base, self.events)
    }

    /// Returns a cache's event channel, `{events}:cache:{kind}:{event}`.
    pub fn event_channel(&self, kind: &str, event: &str) -> String {
        format!("{}:{}:cache:{kind}:{event}", self.base, self.events)
    }

    /// Returns the channel that says supplier parameters changed; its name does not follow the pattern of the others.
    pub fn supplier_params_invalidate_channel(&self) -> String {
        format!("{}:{}:{}:invalidate:supplier_params", self.base, self.events, self.cache)
    }

    /// Returns the channel that says shared parameters of a height changed.
    pub fn shared_params_height_invalidate_channel(&self) -> String {
        format!("{}:{}:invalidate:params", self.base, self.events)
    }

    /// Returns the channel of sessions that no longer pay.
    pub fn session_rewardable_channel(&self) -> String {
        format!("{}:{}:session:rewardable", self.base, self.events)
    }

    /// Returns the channel of supplier registry events.
    pub fn supplier_update_channel(&self) -> String {
        format!("{}:{}:supplier_update", self.base, self.events)
    }

    /// Returns the channel that releases meters.
    pub fn meter_cleanup_channel(&self) -> String {
        format!("{}:{}:cleanup", self.base, self.meter)
    }

    // Boundary names: records.

    /// Returns the key of a supplier's state for relayers.
    pub fn supplier(&self, supplier: &str) -> String {
        format!("{}:{}:{supplier}", self.base, self.supplier)
    }

    /// Returns the prefix of supplier states, without the last colon.
    pub fn supplier_prefix(&self) -> String {
        format!("{}:{}", self.base, self.supplier)
    }

    /// Returns the key of a supplier's registry entry.
    pub fn supplier_registry(&self, supplier: &str) -> String {
        format!("{}:suppliers:{supplier}", self.base)
    }

    /// Returns the set of suppliers with a registry entry.
    pub fn supplier_registry_index(&self) -> String {
        format!("{}:suppliers:index", self.base)
    }

    /// Returns the key of the service factor that applies where a service has none of its own.
    pub fn service_factor_default(&self) -> String {
        format!("{}:service_factor:default", self.base)
    }

    /// Returns the key of a service's own factor.
    pub fn service_factor(&self, service: &str) -> String {
        format!("{}:service_factor:service:{service}", self.base)
    }

    /// Returns a cache entry, `{cache}:{kind}:{id}`.
    pub fn cache(&self, kind: &str, id: &str) -> String {
        format!("{}:{}:{kind}:{id}", self.base, self.cache)
    }

    /// Returns a cache entry of which there is one only, such as `shared_params`.
    pub fn cache_single(&self, kind: &str) -> String {
        format!("{}:{}:{kind}", self.base, self.cache)
    }

    /// Returns the lock taken while a cache entry is being filled.
    pub fn cache_lock(&self, kind: &str, id: &str) -> String {
        format!("{}:{}:lock:{kind}:{id}", self.base, self.cache)
    }

    /// Returns the lock taken while a single cache entry is being filled.
    pub fn cache_lock_single(&self, kind: &str) -> String {
        format!("{}:{}:lock:{kind}", self.base, self.cache)
    }

    /// Returns the set of known ids of a kind.
    pub fn cache_known(&self, kind: &str) -> String {
        format!("{}:{}:known:{kind}", self.base, self.cache)
    }

    /// Returns the flag of a session that no longer pays; its absence means that it does.
    pub fn session_rewardable(&self, session: &str) -> String {
        format!("{}:{}:session:rewardable:{session}", self.base, self.cache)
    }

    /// Returns the set of metered sessions.
    pub fn meter_active_sessions(&self) -> String {
        format!("{}:{}:active_sessions", self.base, self.meter)
    }

    /// Returns what a session and supplier have consumed, in upokt.
    pub fn meter_consumed(&self, session: &str, supplier: &str) -> String {
        format!("{}:meter:{session}:{supplier}:consumed", self.meter_key)
    }

    /// Returns the facts a meter was opened with.
    pub fn meter_meta(&self, session: &str, supplier: &str) -> String {
        format!("{}:meter:{session}:{supplier}:meta", self.meter_key)
    }

    /// Returns the replay guard of simulated relays.
    pub fn simulation_replay(&self, hash: &str) -> String {
        format!("{}:sim:replay:{hash}", self.base)
    }

    // Boundary names among miners: known here so that nobody else spells them; taken and renewed only beside Go miners.

    /// Returns the reference's key of the fleet's leader.
    pub fn global_leader(&self) -> String {
        format!("{}:{}:global_leader", self.base, self.miner)
    }

    /// Returns the reference's prefix of an older election.
    pub fn miner_leader_prefix(&self) -> String {
        format!("{}:{}:leader", self.base, self.miner)
    }

    /// Returns the reference's set of live miners.
    pub fn miner_active(&self) -> String {
        format!("{}:{}:active", self.base, self.miner)
    }

    /// Returns the reference's claim of a supplier by a miner.
    pub fn miner_claim(&self, supplier: &str) -> String {
        format!("{}:{}:claim:{supplier}", self.base, self.miner)
    }

    /// Returns the reference's heartbeat of a miner.
    pub fn miner_instance(&self, instance: &str) -> String {
        format!("{}:{}:instance:{instance}", self.base, self.miner)
    }

    /// Returns the reference's prefix of sets of seen relays.
    pub fn miner_dedup_prefix(&self) -> String {
        format!("{}:{}:dedup", self.base, self.miner)
    }

    /// Returns the reference's snapshot of a session.
    pub fn miner_session(&self, supplier: &str, session: &str) -> String {
        format!("{}:{}:sessions:{supplier}:{session}", self.base, self.miner)
    }

    /// Returns the reference's set of a supplier's sessions.
    pub fn miner_sessions_index(&self, supplier: &str) -> String {
        format!("{}:{}:sessions:{supplier}:index", self.base, self.miner)
    }

    /// Returns the reference's set of a supplier's sessions in one state.
    pub fn miner_sessions_state(&self, supplier: &str, state: &str) -> String {
        format!("{}:{}:sessions:{supplier}:state:{state}", self.base, self.miner)
    }

    /// Returns the reference's rebroadcast records; the braces are literal.
    pub fn rebroadcast(&self, phase: &str, supplier: &str, session_end: i64) -> String {
        format!("{}:{}:rebroadcast:{{{phase}}}:{supplier}:{session_end}", self.base, self.miner)
    }

    /// Returns the index of the reference's rebroadcast records.
    pub fn rebroadcast_index(&self, phase: &str) -> String {
        format!("{}:{}:rebroadcast:{{{phase}}}:index", self.base, self.miner)
    }

    /// Returns a part of the reference's trie: `nodes`, `root`, `live_root` or `stats`.
    pub fn smst(&self, supplier: &str, session: &str, part: &str) -> String {
        format!("{}:smst:{supplier}:{session}:{part}", self.base)
    }

    /// Returns the reference's record of what was submitted.
    pub fn tx_track(&self, supplier: &str, session_end: i64, session: &str) -> String {
        format!("{}:tx:track:{supplier}:{session_end}:{session}", self.base)
    }

    // Own names. The stream key is the hash tag.

    /// Returns the leaves of a session: path to packed leaf.
    pub fn leaf(&self, supplier: &str, session: &str) -> String {
        format!("{}:leaf:{{{}}}:{session}", self.base, self.stream(supplier))
    }

    /// Returns the bytes of a session's leaves by path.
    pub fn leaf_bytes(&self, supplier: &str, session: &str) -> String {
        format!("{}:leafbytes:{{{}}}:{session}", self.base, self.stream(supplier))
    }

    /// Returns a session's record.
    pub fn session(&self, supplier: &str, session: &str) -> String {
        format!("{}:session:{{{}}}:{session}", self.base, self.stream(supplier))
    }

    /// Returns the set of a supplier's sessions.
    pub fn sessions(&self, supplier: &str) -> String {
        format!("{}:sessions:{{{}}}", self.base, self.stream(supplier))
    }

    /// Returns a supplier's counters.
    pub fn ledger(&self, supplier: &str) -> String {
        format!("{}:ledger:{{{}}}", self.base, self.stream(supplier))
    }

    /// Returns a supplier's quarantined entries.
    pub fn quarantine(&self, supplier: &str) -> String {
        format!("{}:quarantine:{{{}}}", self.base, self.stream(supplier))
    }

    /// Returns the last batch that each writer appended to a supplier's stream.
    pub fn writers(&self, supplier: &str) -> String {
        format!("{}:writers:{{{}}}", self.base, self.stream(supplier))
    }

    /// Returns the height at or before which a session of the supplier must have ended for its relays to be refused.
    pub fn closed(&self, supplier: &str) -> String {
        format!("{}:closed:{{{}}}", self.base, self.stream(supplier))
    }

    /// Returns a supplier's lease.
    pub fn lease(&self, supplier: &str) -> String {
        format!("{}:lease:{{{}}}", self.base, self.stream(supplier))
    }

    /// Returns a supplier's epoch, which outlives every lease.
    pub fn epoch(&self, supplier: &str) -> String {
        format!("{}:epoch:{{{}}}", self.base, self.stream(supplier))
    }

    /// Returns the lease of the fleet's leader.
    pub fn leader_lease(&self) -> String {
        format!("{}:lease:{{leader}}", self.base)
    }

    /// Returns the epoch of the fleet's leader.
    pub fn leader_epoch(&self) -> String {
        format!("{}:epoch:{{leader}}", self.base)
    }

    /// Returns the last block that was published, for those who start between two.
    pub fn last_block(&self) -> String {
        format!("{}:block:last", self.base)
    }

    /// Returns the set of suppliers that have keys of our own.
    pub fn known_suppliers(&self) -> String {
        format!("{}:known:suppliers", self.base)
    }
}

/// Returns whether `name` matches a pattern of Redis' `KEYS`: `*`, `?`, `[set]` and `\` escapes.
pub fn matches(pattern: &str, name: &str) -> bool {
    glob(pattern.as_bytes(), name.as_bytes())
}

fn glob(mut pattern: &[u8], mut name: &[u8]) -> bool {
    // The last star and the text it stood at: on a mismatch the star takes one byte more. Linear for one star at a time.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match pattern.first() {
            Some(b'*') => {
                pattern = &pattern[1..];
                retry = Some((pattern, name));
                continue;
            }
            None if name.is_empty() => return true,
            None => None,
            Some(_) => name.first().and_then(|&byte| one(pattern, byte)),
        };
        if let Some(rest) = step {
            pattern = rest;
            name = &name[1..];
        } else if let Some((after_star, at)) = retry {
            if at.is_empty() {
                return false;
            }
            name = &at[1..];
            pattern = after_star;
            retry = Some((after_star, name));
        } else {
            return false;
        }
    }
}

/// Matches one byte against the head of a pattern and returns the rest of the pattern.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', set @ ..] => {
            let end = set.iter().position(|&b| b == b']')?;
            let (set, rest) = (&set[..end], &set[end + 1..]);
            let (negated, set) = if let [b'^', set @ ..] = set { (true, set) } else { (false, set) };
            let mut found = false;
            let mut i = 0;
            while i < set.len() {
                if i + 2 < set.len() && set[i + 1] == b'-' {
                    found |= (set[i]..=set[i + 2]).contains(&byte);
                    i += 3;
                } else {
                    found |= set[i] == byte;
                    i += 1;
                }
            }
            (found != negated).then_some(rest)
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_carry_the_stream_as_hash_tag() {
        let names = Namespace::default();
        let tag = "{ha:relays:pokt1x}";
        for name in [
            names.leaf("pokt1x", "s"),
            names.leaf_bytes("pokt1x", "s"),
            names.session("pokt1x", "s"),
            names.sessions("pokt1x"),
            names.ledger("pokt1x"),
            names.quarantine("pokt1x"),
            names.writers("pokt1x"),
            names.closed("pokt1x"),
            names.lease("pokt1x"),
            names.epoch("pokt1x"),
        ] {
            assert!(name.contains(tag), "{name}");
        }
        assert_eq!(names.leaf("pokt1x", "s"), "ha:leaf:{ha:relays:pokt1x}:s");
    }

    #[test]
    fn patterns_match_as_redis_does() {
        for (pattern, name, expected) in [
            ("ha:*", "ha:relays:x", true),
            ("ha:*", "hb:relays:x", false),
            ("*:x", "ha:relays:x", true),
            ("ha:?elays:*", "ha:relays:x", true),
            ("ha:[a-r]elays:*", "ha:relays:x", true),
            ("ha:[^r]elays:*", "ha:relays:x", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            (r"ha:\*", "ha:*", true),
            (r"ha:\*", "ha:x", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
