//! What is said of a few figures of one kind: their median and how far they lie apart.

/// The median of some figures, with the lowest and the highest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Spread {
    /// `None` for no figures. None of them may be NaN.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (lowest, highest) = (*figures.first()?, *figures.last()?);
        let (lower, upper) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self { median: f64::midpoint(lower, upper), lowest, highest })
    }

    /// How far the figures lie apart, in parts of their median.
    pub fn width(&self) -> f64 {
        (self.highest - self.lowest) / self.median.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        let spread = |figures: &[f64]| Spread::of(figures.to_vec());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 9.0]), Some(Spread { median: 3.0, lowest: 1.0, highest: 9.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
    }

    #[test]
    fn the_width_is_relative_to_the_median() {
        assert_eq!(Spread::of(vec![1.0, 2.0, 4.0]).unwrap().width(), 1.5);
        assert_eq!(Spread::of(vec![2.0]).unwrap().width(), 0.0);
    }
}
