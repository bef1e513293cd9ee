//! The plan and its ports as tables.

use std::fmt::Write as _;

use crate::plan::{Environment, Plan};
use crate::spec::EnvironmentKind;

/// The port registry of both environments, in order of the ports.
pub fn ports_text(plan: &Plan) -> String {
    let mut text = String::new();
    for environment in &plan.environments {
        let _ = writeln!(text, "{}", name(environment));
        let rows: Vec<[String; 4]> = environment
            .registry
            .iter()
            .map(|port| {
                let mark = match (port.live, port.loopback_only, port.container) {
                    (_, _, 0) => "reserved",
                    (false, ..) => "later",
                    (true, true, _) => "loopback",
                    (true, false, _) => "",
                };
                [port.port.to_string(), port.owner.clone(), mark.to_owned(), port.about.clone()]
            })
            .collect();
        table(&mut text, &["PORT", "OWNER", "", "WHAT"], &rows);
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// The whole plan, for people.
pub fn plan_text(plan: &Plan) -> String {
    let network = &plan.network;
    let mut text = format!(
        "chain {} ({:?}), a block every {} ms; gateway {:?}; state {:?}\n",
        network.chain_id, plan.chain, network.block_time_ms, plan.gateway, plan.state
    );
    let _ = writeln!(
        text,
        "{} accounts, {} suppliers at {}, {} applications, {} gateways\n",
        plan.accounts.len(),
        plan.suppliers.len(),
        network.relayer_endpoint,
        plan.applications.len(),
        plan.gateways.len()
    );
    let rows: Vec<[String; 4]> = plan
        .services
        .iter()
        .map(|service| {
            let route = format!("{}.{}{}", service.route.workload, service.route.port, service.route.path);
            let live = if service.live { "" } else { "later" };
            [service.id.clone(), service.rpc_type.on_chain().to_owned(), live.to_owned(), route]
        })
        .collect();
    table(&mut text, &["SERVICE", "PROTOCOL", "", "BACKEND"], &rows);
    for environment in &plan.environments {
        let _ = writeln!(text, "\n{}", name(environment));
        let rows: Vec<[String; 4]> = environment
            .workloads
            .iter()
            .map(|workload| {
                let after: Vec<&str> = workload.after.iter().map(|other| other.name.as_str()).collect();
                let names: Vec<&str> = workload.replicas.iter().map(|replica| replica.name.as_str()).collect();
                let image = plan.images.get(&workload.image).map(|image| image.reference.clone()).unwrap_or_default();
                [workload.name.clone(), names.join(" "), image, after.join(" ")]
            })
            .collect();
        table(&mut text, &["WORKLOAD", "REPLICAS", "IMAGE", "AFTER"], &rows);
    }
    text.trim_end().to_owned()
}

fn name(environment: &Environment) -> &'static str {
    match environment.kind {
        EnvironmentKind::Docker => "Docker",
        EnvironmentKind::Kubernetes => "Kubernetes",
    }
}

pub(super) fn table<const COLUMNS: usize>(text: &mut String, head: &[&str; COLUMNS], rows: &[[String; COLUMNS]]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let mut line = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        let _ = writeln!(text, "  {}", padded.join("  ").trim_end());
    };
    line(head.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
}
