//! What is seen of the network: that boards and alerts ask only for what programs register, that every alert fires on
//! what is planted for it and on nothing else, and that the committed files are what the spec renders.

#![allow(clippy::disallowed_methods, reason = "these tests stand outside the house: they run Prometheus' own tool")]

mod boards;
mod expressions;
mod promtool;
mod rendering;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use pocket_spec::lock::Lock;
use pocket_spec::page::{Overlay, Page};
use pocket_spec::plan::Plan;

/// The plan of this repository's page with an overlay, or of the page alone.
pub(crate) fn plan(overlay: &str) -> Plan {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there");
    let overlay = match overlay {
        "" => Overlay::None,
        text => Overlay::Text("local.ncl".to_owned(), text.to_owned()),
    };
    let page = Page::read(&root, &overlay).unwrap_or_else(|error| panic!("{error:#}"));
    let lock = Lock::derive(&page.spec).expect("keys can be derived");
    Plan::of(&page, &lock).unwrap_or_else(|error| panic!("{error:#}"))
}

/// Fails with all faults at once.
pub(crate) fn none(faults: &[String]) -> Result<(), Failed> {
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = vec![
        Trial::test("every_expression_asks_for_metrics_and_labels_of_the_catalogue", expressions::are_of_the_catalogue),
        Trial::test("a_wrong_metric_label_or_function_is_found", expressions::faults_are_found),
        Trial::test("planted_and_healthy_series_are_such_as_programs_register", expressions::series_are_real),
        Trial::test("units_of_panels_are_those_of_the_metrics", boards::units_agree),
        Trial::test("choices_of_a_board_are_used_and_offered", boards::variables_agree),
        Trial::test("panels_lead_to_headings_of_the_runbook", boards::links_lead_somewhere),
        Trial::test("panels_do_not_overlap_and_ask_the_provisioned_source", boards::panels_have_places),
        Trial::test("panels_that_nothing_feeds_are_left_out", boards::needs_are_met),
        Trial::test("what_is_committed_is_what_the_spec_renders", rendering::is_fresh),
        Trial::test("every_port_of_metrics_is_scraped_under_its_workloads_name", || {
            rendering::all_are_scraped();
            Ok(())
        }),
        promtool::trial("prometheus_accepts_both_configurations", promtool::configurations_are_accepted),
        promtool::trial("prometheus_accepts_the_alerts", promtool::rules_are_accepted),
        promtool::trial("every_alert_fires_on_its_plant_and_none_in_health", promtool::alerts_fire),
        promtool::trial("an_alert_that_does_not_fire_is_found", promtool::a_blunt_alert_is_found),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
