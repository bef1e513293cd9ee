//! Metrics are those of the catalogue and no others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use pocket_config::metrics::Catalogue;
use pocket_runtime::metrics::Registry;

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        Catalogue::parse(
            r#"[
            {"name":"t_relays_total","kind":"counter","unit":"relays","help":"Relays.","process":"t"},
            {"name":"t_faults_total","kind":"counter","unit":"faults","help":"Faults.","labels":["reason"],"process":"t"},
            {"name":"t_open","kind":"gauge","unit":"sessions","help":"Open.","process":"t"},
            {"name":"t_seconds","kind":"histogram","unit":"seconds","help":"Took.","labels":["phase"],"buckets":[0.1,1],"process":"t"}
            ]"#,
        )
        .unwrap()
    })
}

#[test]
fn what_is_counted_is_rendered_with_the_words_of_the_catalogue() {
    let registry = Registry::new("t", catalogue());
    registry.counter("t_relays_total").inc_by(2);
    registry.counter("t_relays_total").inc();
    registry.counter_vec("t_faults_total").with_label_values(&["late"]).inc();
    registry.gauge("t_open").set(-4);
    registry.histogram_vec("t_seconds").with_label_values(&["sign"]).observe(0.5);
    let text = registry.render();
    for line in [
        "# HELP t_relays_total Relays.",
        "# TYPE t_relays_total counter",
        "t_relays_total 3",
        "t_faults_total{reason=\"late\"} 1",
        "t_open -4",
        "t_seconds_bucket{phase=\"sign\",le=\"0.1\"} 0",
        "t_seconds_bucket{phase=\"sign\",le=\"1\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "`{line}` is missing in:\n{text}");
    }
}

#[track_caller]
fn check_mistake(mistake: impl FnOnce(&Registry), says: &str) {
    let registry = Registry::new("t", catalogue());
    let panic = catch_unwind(AssertUnwindSafe(|| mistake(&registry))).unwrap_err();
    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(text.contains(says), "{text}");
}

#[test]
fn a_name_the_catalogue_lacks_is_a_mistake() {
    check_mistake(|r| drop(r.counter("t_other_total")), "`t_other_total` is not in the catalogue: add it to");
}

#[test]
fn another_kind_is_a_mistake() {
    check_mistake(
        |r| drop(r.gauge("t_relays_total")),
        "is a Counter in the catalogue, but the program asks for a Gauge",
    );
}

#[test]
fn forgotten_labels_are_a_mistake() {
    check_mistake(|r| drop(r.counter("t_faults_total")), "ask for a handle with labels");
    check_mistake(|r| drop(r.counter_vec("t_relays_total")), "ask for a handle without labels");
}

#[test]
fn two_types_of_handle_for_one_name_are_a_mistake() {
    check_mistake(
        |r| {
            r.counter("t_relays_total");
            r.float_counter("t_relays_total");
        },
        "already registered as another type of handle",
    );
}

#[tokio::test]
async fn tasks_and_their_panics_are_metrics_of_every_process() {
    let registry = Registry::new("t", Catalogue::builtin());
    let failed: Result<(), _> =
        pocket_runtime::task::spawn("falls for the metrics", async { panic!("on purpose") }).await;
    assert!(failed.is_err());
    let text = registry.render();
    assert!(text.contains("pocket_runtime_panics_total{task=\"falls for the metrics\"} 1"), "{text}");
    assert!(text.contains("pocket_runtime_tasks{task=\"falls for the metrics\"} 0"), "{text}");
}
