//! Tasks, groups and leaving.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pocket_runtime::shutdown::{self, Drain, Shutdown};
use pocket_runtime::task::{self, Group, Joined, Refused, TaskError};

use tokio::sync::Semaphore;

use crate::support::{DEADLINE, eventually};

fn census_of(name: &str) -> (u64, u64) {
    let found = task::census().into_iter().find(|tasks| tasks.name == name);
    found.map_or((0, 0), |tasks| (tasks.running, tasks.panics))
}

#[tokio::test]
async fn a_panic_costs_one_task_and_is_counted() {
    let failing = task::spawn("panics in a test", async { panic!("the cat is on the table") });
    let failure: Result<(), _> = failing.await;
    let message = "the cat is on the table".to_owned();
    assert_eq!(failure, Err(TaskError::Panicked { name: "panics in a test", message }));
    let formatted = task::blocking("panics in a test", || panic!("{}", 1 + 1)).await;
    assert_eq!(formatted, Err::<(), _>(TaskError::Panicked { name: "panics in a test", message: "2".to_owned() }));
    assert_eq!(census_of("panics in a test"), (0, 2));
    assert_eq!(task::spawn("lives", async { 7 }).await, Ok(7));
}

#[tokio::test]
async fn work_goes_on_to_its_end_when_its_caller_leaves_and_takes_no_task_before() {
    const NAME: &str = "outlives its caller";
    let (begun, gate, done) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let work = || {
        let (begun, gate, done) = (begun.clone(), gate.clone(), done.clone());
        task::to_the_end(NAME, async move {
            begun.add_permits(1);
            let _open = gate.acquire().await;
            done.fetch_add(1, Ordering::Relaxed) + 1
        })
    };
    let caller = task::spawn("caller of a test", work());
    let _begun = begun.acquire().await;
    assert_eq!(census_of(NAME).0, 0, "it runs where it is awaited");
    caller.abort();
    eventually("it runs by itself", || census_of(NAME).0 == 1).await;
    drop(work());
    eventually("so does what nobody ever awaited", || census_of(NAME).0 == 2).await;
    gate.close();
    eventually("both have ended", || done.load(Ordering::Relaxed) == 2 && census_of(NAME).0 == 0).await;
    assert_eq!(work().await, Ok(3));
    let failing = task::to_the_end(NAME, async { panic!("out") });
    assert_eq!(failing.await, Err::<(), _>(TaskError::Panicked { name: NAME, message: "out".to_owned() }));
}

#[tokio::test]
async fn an_aborted_task_says_so_and_no_longer_counts_as_running() {
    let task = task::spawn("waits for ever", std::future::pending::<()>());
    eventually("it runs", || census_of("waits for ever").0 == 1).await;
    task.abort();
    assert_eq!(task.await, Err(TaskError::Aborted { name: "waits for ever" }));
    assert_eq!(census_of("waits for ever").0, 0);
    drop(task::spawn("waits for ever", std::future::pending::<()>()).abort_on_drop());
    eventually("it is gone", || census_of("waits for ever").0 == 0).await;
}

#[tokio::test]
async fn a_group_is_bounded_and_waits_for_a_free_slot() {
    let group = Group::new("bounded", 2);
    let (gate, _) = tokio::sync::broadcast::channel::<()>(1);
    for _ in 0..2 {
        let mut opened = gate.subscribe();
        group.try_spawn(async move { drop(opened.recv().await) }).unwrap();
    }
    assert_eq!(group.running(), 2);
    assert_eq!(group.try_spawn(async {}), Err(Refused::Full { name: "bounded", limit: 2 }));
    let waiting = group.spawn(async {});
    gate.send(()).unwrap();
    waiting.await.unwrap();
    let Joined { aborted, .. } = group.join_all(DEADLINE).await;
    assert_eq!(aborted, 0);
    assert_eq!(group.spawn(async {}).await, Err(Refused::Closed { name: "bounded" }));
}

#[tokio::test(start_paused = true)]
async fn a_group_aborts_what_outlives_the_deadline_and_survives_panics() {
    let group = Group::new("stubborn", 8);
    group.try_spawn(async { panic!("bug") }).unwrap();
    group.try_spawn(async { tokio::time::sleep(Duration::from_secs(1)).await }).unwrap();
    group.try_spawn(std::future::pending()).unwrap();
    assert_eq!(group.join_all(Duration::from_secs(5)).await, Joined { finished: 2, aborted: 1 });
}

#[tokio::test]
async fn a_dropped_group_aborts_its_tasks() {
    let group = Group::new("dropped group", 8);
    group.try_spawn(std::future::pending()).unwrap();
    eventually("it runs", || census_of("dropped group").0 == 1).await;
    drop(group);
    eventually("it is gone", || census_of("dropped group").0 == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_supervised_loop_starts_anew_after_a_panic() {
    let runs = Arc::new(AtomicUsize::new(0));
    let seen = runs.clone();
    let started = tokio::time::Instant::now();
    let watched = task::supervise("falls twice", Shutdown::never(), move || {
        let run = seen.fetch_add(1, Ordering::Relaxed);
        async move { assert!(run >= 2, "falls") }
    });
    watched.await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    let waited: Duration = task::RESTART_DELAYS[..2].iter().sum();
    assert!(started.elapsed() >= waited && started.elapsed() < waited + Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_work_in_flight_until_the_deadline() {
    let drain = Drain::new();
    let (trigger, shutdown) = shutdown::channel(Duration::from_secs(3));
    let quick = drain.enter();
    let slow = drain.enter();
    assert_eq!(shutdown.deadline(), None);
    trigger.trigger();
    let deadline = shutdown.deadline().unwrap();
    assert_eq!(deadline, tokio::time::Instant::now() + Duration::from_secs(3));
    drop(quick);
    assert_eq!(drain.wait(deadline).await.unwrap_err().count, 1);
    assert_eq!(shutdown.remaining(), Duration::ZERO);
    drop(slow);
    drain.wait(deadline).await.unwrap();
}

#[tokio::test]
async fn a_child_hears_its_parent_but_not_the_other_way_round() {
    let (trigger, parent) = shutdown::channel(DEADLINE);
    let (child_trigger, child) = parent.child();
    let (_, other) = parent.child();
    child_trigger.trigger();
    assert!(child.is_triggered() && child.deadline().is_some());
    assert!(!parent.is_triggered() && !other.is_triggered());
    assert_eq!(other.unless_triggered(async { 1 }).await, Some(1));
    trigger.trigger();
    other.triggered().await;
    assert_eq!(other.deadline(), parent.deadline());
    assert_eq!(other.unless_triggered(async { 1 }).await, None);
}
