//! The figures: of each case and unit, one of each contender. Each is printed when it is known.

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// User and system time of all processes of a call, ms.
    Cpu,
    /// Time on the clock, ms, calls back to back.
    Wall,
    /// Time on the clock, ms, a pause before each call.
    Cold,
    /// KiB.
    Memory,
    /// Processes.
    Tasks,
}

impl Unit {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Cpu => "CPU, ms",
            Self::Wall => "clock, ms",
            Self::Cold => "clock after 50 ms of rest, ms",
            Self::Memory => "KiB",
            Self::Tasks => "tasks",
        }
    }
}

/// The figures of one case.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) unit: Unit,
    /// Contender and value.
    pub(crate) values: Vec<(String, f64)>,
}

impl Row {
    pub(crate) fn of(&self, contender: &str) -> Option<f64> {
        self.values.iter().find(|(name, _)| name == contender).map(|(_, value)| *value)
    }
}

/// All of them, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) rows: Vec<Row>,
}

impl Figures {
    pub(crate) fn add(&mut self, case: &str, unit: Unit, contender: &str, value: f64) {
        println!("{case}\t{}\t{contender}\t{value:.3}", unit.label());
        let value = (contender.to_owned(), value);
        match self.rows.iter_mut().find(|row| row.case == case && row.unit == unit) {
            Some(row) => row.values.push(value),
            None => self.rows.push(Row { case: case.to_owned(), unit, values: vec![value] }),
        }
    }

    pub(crate) fn row(&self, case: &str, unit: Unit) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case && row.unit == unit)
    }
}
