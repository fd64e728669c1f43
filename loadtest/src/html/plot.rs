//! Charts as inline SVG. Colours come from the style sheet of the page: lines have the classes `line-0`, `line-1`, ...

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use crate::format::Format;

/// The size of a chart's drawing in its own units; the page scales it.
const HEIGHT: f64 = 250.0;
/// Room for the axes and their labels.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 32.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 42.0;
/// Marks on an axis, about.
const MARKS: f64 = 5.0;
/// A percentile with more nines than this is beyond a human's interest, and its label beyond its room.
const MOST_NINES: usize = 7;
/// More points than this are drawn without dots to hover over.
const MOST_DOTS: usize = 150;

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Log,
    /// Quantiles by the logarithm of their distance to 1.
    Tail,
}

impl Scale {
    fn apply(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.log10(),
            Self::Tail => -(1.0 - value).log10(),
        }
    }
}

/// One axis: its range and its marks.
#[derive(Debug)]
pub struct Axis {
    label: &'static str,
    scale: Scale,
    low: f64,
    high: f64,
    marks: Vec<(f64, String)>,
}

impl Axis {
    /// From `low` to at least `high`, with round marks.
    pub fn linear(label: &'static str, low: f64, high: f64, write: Format) -> Self {
        let step = round_step((high - low).max(1e-9) / MARKS);
        let count = ((high - low) / step).ceil().max(1.0) as u32;
        let marks: Vec<_> = (0..=count).map(|at| low + f64::from(at) * step).map(|at| (at, write(at))).collect();
        Self { label, scale: Scale::Linear, low, high: low + f64::from(count) * step, marks }
    }

    /// Like `linear`, but it ends where the values do.
    pub fn exact(label: &'static str, low: f64, high: f64, write: Format) -> Self {
        let mut axis = Self::linear(label, low, high, write);
        axis.high = high.max(low + 1e-9);
        axis.marks.retain(|(at, _)| *at <= axis.high);
        axis
    }

    /// Logarithmic, marked at 1, 2 and 5 times the powers of ten; at the powers alone when it spans many.
    pub fn log(label: &'static str, low: f64, high: f64, write: Format) -> Self {
        let (low, high) = (low.max(1e-3), high.max(low.max(1e-3) * 1.01));
        let factors: &[f64] = if high / low > 2000.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let decades = low.log10().floor() as i32 - 1..=high.log10().ceil() as i32;
        let steps = decades.flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)));
        let all: Vec<f64> = steps.collect();
        let first = all.iter().rposition(|at| *at <= low).unwrap_or(0);
        let last = all.iter().position(|at| *at >= high).unwrap_or(all.len() - 1);
        let marks: Vec<_> = all[first..=last].iter().map(|at| (*at, write(*at))).collect();
        Self { label, scale: Scale::Log, low: all[first], high: all[last], marks }
    }

    /// Percentiles from 0 to the last that so many values can tell.
    pub fn tail(label: &'static str, count: u64) -> Self {
        let nines = ((count.max(10) as f64).log10().ceil() as usize).min(MOST_NINES);
        let mut marks = vec![(0.0, "0 %".to_owned()), (0.5, "50 %".to_owned())];
        for digits in 1..=nines {
            let quantile = 1.0 - 0.1f64.powi(digits as i32);
            let decimals = digits.saturating_sub(2);
            marks.push((quantile, format!("{:.decimals$} %", quantile * 100.0)));
        }
        Self { label, scale: Scale::Tail, low: 0.0, high: 1.0 - 0.1f64.powi(nines as i32), marks }
    }

    /// Where a value lies: 0 at the axis's begin, 1 at its end.
    fn place(&self, value: f64) -> f64 {
        let [low, high, value] = [self.low, self.high, value.clamp(self.low, self.high)].map(|at| self.scale.apply(at));
        (value - low) / (high - low)
    }
}

/// The round number (1, 2 or 5 times a power of ten) at or above a step.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= step * 0.999);
    round.unwrap_or(10.0) * power
}

/// One line; gaps in the data are gaps in the line.
#[derive(Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, Option<f64>)>,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.points.iter().all(|(_, y)| y.is_none())
    }

    /// The largest value; 0 when there is none.
    pub fn highest(&self) -> f64 {
        self.points.iter().filter_map(|(_, y)| *y).fold(0.0, f64::max)
    }
}

/// A named range of the horizontal axis.
#[derive(Debug, Clone)]
pub struct Band {
    pub name: String,
    pub from: f64,
    pub to: f64,
    /// Drawn as a shade.
    pub is_shaded: bool,
}

/// A chart.
#[derive(Debug)]
pub struct Chart {
    pub title: &'static str,
    pub width: f64,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
    pub bands: Vec<Band>,
    /// Writes a value for the dots to hover over.
    pub write: Format,
}

impl Chart {
    /// The chart with its title and key; nothing when there is nothing to draw.
    pub fn figure(&self) -> Markup {
        let lines: Vec<(usize, &Line)> = self.lines.iter().enumerate().filter(|(_, line)| !line.is_empty()).collect();
        html! {
            @if !lines.is_empty() {
                figure {
                    figcaption {
                        span.title { (self.title) }
                        @for (index, line) in &lines { span class=(format!("key line-{index}")) { (line.name) } }
                    }
                    (self.drawing(&lines))
                }
            }
        }
    }

    fn drawing(&self, lines: &[(usize, &Line)]) -> Markup {
        html! {
            svg viewBox=(format!("0 0 {} {HEIGHT}", self.width)) role="img" aria-label=(self.title) {
                @for band in &self.bands { (self.band(band)) }
                (self.y_axis())
                (self.x_axis())
                @if let [(index, line)] = lines { path class=(format!("area line-{index}")) d=(self.area(line)) {} }
                @for (index, line) in lines { path class=(format!("curve line-{index}")) d=(self.path(line)) {} }
                @for (index, line) in lines { (self.dots(*index, line)) }
            }
        }
    }

    fn band(&self, band: &Band) -> Markup {
        let (left, right) = (self.across(band.from), self.across(band.to));
        html! {
            @if band.is_shaded {
                rect.shade x=(px(left)) y=(TOP) width=(px(right - left)) height=(HEIGHT - TOP - BOTTOM) {}
            } @else {
                line.edge x1=(px(left)) x2=(px(left)) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
            }
            @if right - left > 7.0 * band.name.len() as f64 {
                text.band x=(px((left + right) / 2.0)) y=(TOP - 6.0) { (band.name) }
            }
        }
    }

    fn x_axis(&self) -> Markup {
        html! {
            @for (at, label) in &self.x.marks {
                @let x = px(self.across(*at));
                line.tick x1=(x) x2=(x) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM + 4.0) {}
                text.x x=(x) y=(HEIGHT - BOTTOM + 17.0) { (label) }
            }
            line.axis x1=(LEFT) x2=(px(self.width - RIGHT)) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
            text.label x=(px((LEFT + self.width - RIGHT) / 2.0)) y=(HEIGHT - 7.0) { (self.x.label) }
        }
    }

    fn y_axis(&self) -> Markup {
        let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
        html! {
            @for (at, label) in &self.y.marks {
                @let y = self.down(*at);
                line.grid x1=(LEFT) x2=(px(self.width - RIGHT)) y1=(px(y)) y2=(px(y)) {}
                text.y x=(LEFT - 7.0) y=(px(y + 4.0)) { (label) }
            }
            text.label transform=(format!("translate(12 {middle}) rotate(-90)")) { (self.y.label) }
        }
    }

    fn path(&self, line: &Line) -> String {
        let mut path = String::new();
        let mut pen = 'M';
        for (x, y) in &line.points {
            match y {
                Some(y) => {
                    let (across, down) = (self.across(*x), self.down(*y));
                    write!(path, "{pen}{across:.1} {down:.1}").expect("ok because writing to a string cannot fail");
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        path
    }

    /// The path of a line, closed along the horizontal axis.
    fn area(&self, line: &Line) -> String {
        let known: Vec<f64> = line.points.iter().filter(|(_, y)| y.is_some()).map(|(x, _)| self.across(*x)).collect();
        match (known.first(), known.last()) {
            (Some(first), Some(last)) => {
                let bottom = HEIGHT - BOTTOM;
                format!("{}L{last:.1} {bottom}L{first:.1} {bottom}Z", self.path(line))
            }
            _ => String::new(),
        }
    }

    fn dots(&self, index: usize, line: &Line) -> Markup {
        let dot = |(x, y): &(f64, Option<f64>)| {
            let y = (*y)?;
            let text = format!("{}: {}", line.name, (self.write)(y));
            Some(html! {
                circle class=(format!("dot line-{index}")) cx=(px(self.across(*x))) cy=(px(self.down(y))) r="2.4" {
                    title { (text) }
                }
            })
        };
        let dots: String = line.points.iter().filter_map(dot).map(PreEscaped::into_string).collect();
        PreEscaped(if line.points.len() > MOST_DOTS { String::new() } else { dots })
    }

    fn across(&self, x: f64) -> f64 {
        LEFT + self.x.place(x) * (self.width - LEFT - RIGHT)
    }

    fn down(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(y) * (HEIGHT - TOP - BOTTOM)
    }
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(value: f64) -> String {
        format!("{value:.0}")
    }

    fn values(axis: &Axis) -> Vec<f64> {
        axis.marks.iter().map(|(at, _)| *at).collect()
    }

    #[test]
    fn marks_are_round_and_cover_the_values() {
        assert_eq!(values(&Axis::linear("", 0.0, 87.0, whole)), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(values(&Axis::exact("", 0.0, 5.5, whole)), [0.0, 2.0, 4.0]);
        let log: Vec<String> = Axis::log("", 30.0, 900.0, whole).marks.into_iter().map(|mark| mark.1).collect();
        assert_eq!(log, ["20", "50", "100", "200", "500", "1000"]);
    }

    #[test]
    fn each_nine_of_a_percentile_takes_the_same_room() {
        let axis = Axis::tail("", 1000);
        let labels: Vec<&str> = axis.marks.iter().map(|mark| mark.1.as_str()).collect();
        assert_eq!(labels, ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        for (quantile, place) in [(0.0, 0.0), (0.9, 1.0 / 3.0), (0.99, 2.0 / 3.0), (0.999, 1.0), (1.0, 1.0)] {
            assert!((axis.place(quantile) - place).abs() < 1e-9, "{quantile}");
        }
    }

    #[test]
    fn a_gap_in_the_data_is_a_gap_in_the_line() {
        let points = vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(2.0)), (3.0, Some(0.0))];
        let chart = Chart {
            title: "t",
            width: 300.0,
            x: Axis::exact("s", 0.0, 3.0, whole),
            y: Axis::linear("n", 0.0, 2.0, whole),
            lines: vec![Line { name: "a".into(), points }, Line { name: "none".into(), points: vec![(0.0, None)] }],
            bands: vec![Band { name: "<b>".into(), from: 0.0, to: 1.0, is_shaded: true }],
            write: whole,
        };
        let path = chart.path(&chart.lines[0]);
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        let svg = chart.figure().into_string();
        assert!(
            svg.contains("&lt;b&gt;") && !svg.contains("none</span>") && svg.matches("<circle").count() == 3,
            "{svg}"
        );
    }

    #[test]
    fn values_that_are_all_alike_have_a_place() {
        for axis in
            [Axis::linear("", 0.0, 0.0, whole), Axis::log("", 0.0, 0.0, whole), Axis::exact("", 0.0, 0.0, whole)]
        {
            assert!(axis.place(0.0).is_finite() && !axis.marks.is_empty(), "{axis:?}");
        }
    }
}
