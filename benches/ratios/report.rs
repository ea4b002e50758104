//! One line a measurement.

use serde_json::json;

/// How many a second, and what it cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    /// Cores used by us and by the sink.
    pub(crate) cores: (f64, f64),
}

/// What is asked of a ratio.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// A measurement.
pub(crate) struct Line {
    name: &'static str,
    unit: &'static str,
    ours: Vec<Rate>,
    raw: Vec<Rate>,
    goal: Goal,
    /// What ours itself may be at most, beside the ratio.
    within: Option<f64>,
}

impl Line {
    pub(crate) fn new(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, ours: Vec::new(), raw: Vec::new(), goal: Goal::AtLeast(0.0), within: None }
    }

    pub(crate) fn add(&mut self, ours: Rate, raw: Rate) {
        self.ours.push(ours);
        self.raw.push(raw);
    }

    /// What ours itself may be at most, in its unit.
    #[must_use]
    pub(crate) fn within(mut self, most: f64) -> Self {
        self.within = Some(most);
        self
    }

    #[must_use]
    pub(crate) fn with_goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints a measurement, and says whether its goal was held; ratios are of the pairs of one turn, so that a machine that slows down
/// slows both.
pub(crate) fn print(json: bool, line: &Line) -> bool {
    let ratio = median(line.ours.iter().zip(&line.raw).map(|(ours, raw)| ours.per_second / raw.per_second));
    let (ours, raw) = (median(line.ours.iter().map(|r| r.per_second)), median(line.raw.iter().map(|r| r.per_second)));
    let cores = |pick: fn(&Rate) -> f64, list: &[Rate]| (median(list.iter().map(pick)) * 100.0).round() / 100.0;
    let (own, sink) = (cores(|r| r.cores.0, &line.ours), cores(|r| r.cores.1, &line.ours));
    let (held, goal) = match line.goal {
        Goal::AtLeast(goal) => (ratio >= goal, format!("at least {goal}")),
        Goal::AtMost(goal) => (ratio <= goal, format!("at most {goal}")),
    };
    let (held, goal) = match line.within {
        Some(most) => (held && ours <= most, format!("{goal}, ours at most {most}")),
        None => (held, goal),
    };
    let round = |value: f64| (value * 1_000.0).round() / 1_000.0;
    // Seconds have fractions that count.
    let own_round = |value: f64| if value < 100.0 { round(value) } else { value.round() };
    if json {
        let told = json!({"name": line.name, "ratio": round(ratio), "ours": own_round(ours), "raw": own_round(raw), "unit": line.unit,
            "goal": goal, "held": held, "cores": own, "sink_cores": sink, "sink_bound": sink > 0.95, "runs": line.ours.len()});
        println!("{told}");
        return held;
    }
    let bound = if sink > 0.95 { ", sink-bound" } else { "" };
    println!(
        "{:8} ratio {:>7.3} ({goal}: {})  ours {:>12}  raw {:>12} {}  cores {own:.2} + sink {sink:.2}{bound}",
        line.name,
        ratio,
        if held { "held" } else { "NOT held" },
        own_round(ours),
        own_round(raw),
        line.unit,
    );
    held
}
