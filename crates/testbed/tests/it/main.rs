//! Private servers, and proxies before them, do as they are told.

mod calls;
mod redis;
mod tcp;

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use pocket_testbed::redis::Need;
use pocket_testbed::{Config, RedisServer, Version, needs};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for version in Version::ALL {
        let mut add = |name: &str, test: fn(Version) -> anyhow::Result<()>| {
            let need = needs(version);
            let ignored = matches!(need, Need::Skip { .. });
            let name = format!("{version}::{name}");
            let run = move || match need {
                Need::Fail { reason } => Err(Failed::from(reason)),
                _ => test(version).map_err(|error| Failed::from(format!("{error:#}"))),
            };
            trials.push(Trial::test(name, run).with_ignored_flag(ignored));
        };
        add("a_durable_server_keeps_its_data_over_kill", |version| run(keeps(version)));
        add("a_paused_server_is_silent_until_resumed", |version| run(pauses(version)));
        add("a_dropped_server_is_gone", |version| run(goes(version)));
        add("a_command_whose_reply_is_lost_has_taken_effect", |version| run(redis::loses_a_reply(version)));
        add("a_lost_command_has_no_effect", |version| run(redis::loses_a_command(version)));
        add("a_withheld_reply_is_late", |version| run(redis::withholds_a_reply(version)));
        add("a_script_is_known_by_its_text", |version| run(redis::knows_scripts(version)));
        add("messages_that_answer_no_command_pass", |version| run(redis::passes_what_comes_unasked(version)));
    }
    let mut add = |name: &str, test: fn() -> anyhow::Result<()>| {
        let run = move || test().map_err(|error| Failed::from(format!("{error:#}")));
        trials.push(Trial::test(name, run));
    };
    add("tcp::connections_are_cut_with_and_without_an_error", || run(tcp::cuts()));
    add("tcp::connections_are_refused_while_it_says_so", || run(tcp::refuses()));
    add("tcp::what_waited_passes_after_a_stall", || run(tcp::stalls()));
    add("tcp::what_is_swallowed_never_arrives", || run(tcp::swallows()));
    add("tcp::an_answer_breaks_off_in_the_middle", || run(tcp::breaks_off()));
    add("tcp::a_delay_is_added_to_each_way", || run(tcp::delays()));
    add("tcp::a_connection_closed_on_one_side_goes_on_on_the_other", || run(tcp::half_closes()));
    add("tcp::a_dropped_proxy_is_gone_with_its_connections", || run(tcp::goes()));
    add("tcp::an_upstream_may_leave_and_return", || run(tcp::upstream_returns()));
    add("http2::calls_break_as_told", || run(calls::calls_break_as_told()));
    add("http2::one_call_of_many_breaks_and_the_connection_stays", || run(calls::one_call_of_many_breaks()));
    add("http2::answers_left_out_cost_no_window", || run(calls::a_window_is_not_lost_with_answers()));
    add("http2::clients_connect_anew_after_a_goaway_in_order", || run(calls::goes_away_in_order()));
    add("node::chosen_calls_are_refused", || run(calls::a_node_refuses_chosen_calls()));
    add("node::a_node_that_lags_answers_as_of_its_height", || run(calls::a_node_lags()));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(test: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test)
}

async fn keeps(version: Version) -> anyhow::Result<()> {
    let mut server = RedisServer::start(version, Config::durable()).await?;
    anyhow::ensure!(server.command(&["SET", "key", "value"])?.contains("OK"));
    server.restart().await?;
    anyhow::ensure!(server.command(&["GET", "key"])?.contains("value"), "the server forgot");
    Ok(())
}

async fn pauses(version: Version) -> anyhow::Result<()> {
    let server = RedisServer::start(version, Config::forgetful()).await?;
    server.pause()?;
    let silent = std::os::unix::net::UnixStream::connect(server.folder().join("redis.sock")).and_then(|mut stream| {
        use std::io::{Read as _, Write as _};
        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
        stream.write_all(b"PING\r\n")?;
        stream.read(&mut [0; 16])
    });
    anyhow::ensure!(silent.is_err(), "a paused server answered");
    server.resume()?;
    anyhow::ensure!(server.command(&["PING"])?.contains("PONG"));
    Ok(())
}

async fn goes(version: Version) -> anyhow::Result<()> {
    let server = RedisServer::start(version, Config::forgetful()).await?;
    let folder = server.folder().to_owned();
    drop(server);
    anyhow::ensure!(!folder.exists(), "its folder is still there");
    Ok(())
}
