//! The plot: a bar for the CPU time of each verb and contender, as SVG. It draws what is in the table and nothing else.

use std::fmt::Write as _;

use crate::contender::Contender;
use crate::figures::{Figures, Unit};

const CASES: [&str; 9] =
    ["run (a)", "run (b)", "create (b)", "start (b)", "exec (b)", "state", "list", "kill", "delete (b)"];

/// Okabe and Ito's, which the colour-blind can tell apart.
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#999999", "#56b4e9", "#cc79a7", "#d55e00"];
const FLOOR: &str = "#009e73";

const LEFT: f64 = 90.0;
const RIGHT: f64 = 60.0;
const WIDTH: f64 = 760.0;
const BAR: f64 = 11.0;
const GAP: f64 = 9.0;

pub(crate) fn plot(contenders: &[Contender], figures: &Figures) -> String {
    let rows: Vec<_> = CASES.iter().filter_map(|case| figures.row(case, Unit::Cpu)).collect();
    let most = rows.iter().flat_map(|row| &row.values).map(|(_, value)| *value).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most;
    let mut body = String::new();
    let mut y = 34.0;
    legend(&mut body, contenders);
    for row in rows {
        let _ = writeln!(
            body,
            r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#,
            LEFT - 8.0,
            y + BAR,
            row.case
        );
        for (place, contender) in contenders.iter().enumerate() {
            let Some(value) = row.of(&contender.name).filter(|value| value.is_finite()) else { continue };
            let colour = colour(contender, place);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y}" width="{:.1}" height="{}" fill="{colour}"/><text x="{:.1}" y="{}" class="value">{value:.2}</text>"#,
                value * scale,
                BAR - 1.0,
                LEFT + value * scale + 4.0,
                y + BAR - 2.0
            );
            y += BAR;
        }
        y += GAP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>CPU time of each verb, ms</title>\n<style>.value{{font-size:9px}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn colour(contender: &Contender, place: usize) -> &'static str {
    if contender.is_floor { FLOOR } else { COLOURS.get(place).copied().unwrap_or("#000000") }
}

fn legend(body: &mut String, contenders: &[Contender]) {
    let mut x = LEFT;
    for (place, contender) in contenders.iter().enumerate() {
        let colour = colour(contender, place);
        let _ = writeln!(
            body,
            r#"<rect x="{x}" y="10" width="10" height="10" fill="{colour}"/><text x="{}" y="19">{}</text>"#,
            x + 14.0,
            contender.name
        );
        x += 90.0;
    }
    let _ = writeln!(body, r#"<text x="{x}" y="19">CPU time, ms</text>"#);
}
