//! Pieces of one row of latitude: the whole of the area arithmetic happens on these, where nothing can degenerate.

/// Sorted, disjoint intervals of longitude, degrees, each with a length above zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Spans(Vec<(f64, f64)>);

impl Spans {
    /// The union of intervals in any order; those that are empty, reversed or not a number are left out.
    pub(super) fn union(mut pieces: Vec<(f64, f64)>) -> Self {
        pieces.retain(|(west, east)| west < east);
        pieces.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut merged: Vec<(f64, f64)> = Vec::with_capacity(pieces.len());
        for (west, east) in pieces {
            match merged.last_mut() {
                Some(last) if west <= last.1 => last.1 = last.1.max(east),
                _ => merged.push((west, east)),
            }
        }
        Self(merged)
    }

    /// The same intervals brought into −180 to 180: what hangs over the date line reappears on its other side.
    pub(super) fn wrapped(self) -> Self {
        if self.0.iter().all(|(west, east)| *west >= -180.0 && *east <= 180.0) {
            return self;
        }
        let mut pieces = Vec::with_capacity(self.0.len() + 1);
        for (west, east) in self.0 {
            let start = (west + 180.0).rem_euclid(360.0) - 180.0;
            let end = start + (east - west).min(360.0);
            pieces.push((start, end.min(180.0)));
            pieces.push((-180.0, end - 360.0));
        }
        Self::union(pieces)
    }

    /// What lies in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let (mut i, mut j) = (0, 0);
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let (west, east) = (a.0.max(b.0), a.1.min(b.1));
            if west < east {
                both.push((west, east));
            }
            if a.1 < b.1 { i += 1 } else { j += 1 }
        }
        Self(both)
    }

    /// What lies in this and not in the other.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut cuts = other.0.iter().peekable();
        for &(mut west, east) in &self.0 {
            while cuts.peek().is_some_and(|cut| cut.1 <= west) {
                cuts.next();
            }
            let mut ahead = cuts.clone();
            while let Some(cut) = ahead.next_if(|cut| cut.0 < east) {
                if cut.0 > west {
                    rest.push((west, cut.0));
                }
                west = west.max(cut.1);
            }
            if west < east {
                rest.push((west, east));
            }
        }
        Self(rest)
    }

    /// Total length, degrees.
    pub(super) fn length(&self) -> f64 {
        self.0.iter().map(|(west, east)| east - west).sum()
    }

    /// The intervals, west to east.
    pub(super) fn iter(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.0.iter().copied()
    }

    /// The longest interval.
    pub(super) fn widest(&self) -> Option<(f64, f64)> {
        self.iter().max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::Spans;
    use proptest::prelude::*;

    fn spans(pieces: &[(f64, f64)]) -> Spans {
        Spans::union(pieces.to_vec())
    }

    #[test]
    fn union_merges_what_touches_and_drops_what_is_empty() {
        assert_eq!(
            spans(&[(3.0, 4.0), (1.0, 2.0), (2.0, 2.5), (9.0, 9.0), (f64::NAN, 1.0)]).0,
            [(1.0, 2.5), (3.0, 4.0)]
        );
    }

    #[test]
    fn what_hangs_over_the_date_line_reappears_in_the_west() {
        assert_eq!(spans(&[(170.0, 190.0)]).wrapped().0, [(-180.0, -170.0), (170.0, 180.0)]);
        assert_eq!(spans(&[(-190.0, -170.0)]).wrapped().0, [(-180.0, -170.0), (170.0, 180.0)]);
        assert_eq!(spans(&[(-500.0, 500.0)]).wrapped().0, [(-180.0, 180.0)]);
    }

    #[test]
    fn a_cut_may_reach_over_several_intervals() {
        let land = spans(&[(0.0, 2.0), (3.0, 5.0), (6.0, 8.0)]);
        assert_eq!(land.without(&spans(&[(1.0, 7.0)])).0, [(0.0, 1.0), (7.0, 8.0)]);
        assert_eq!(land.without(&spans(&[(0.5, 1.0), (1.5, 3.5)])).0, [(0.0, 0.5), (1.0, 1.5), (3.5, 5.0), (6.0, 8.0)]);
    }

    fn any_spans() -> impl Strategy<Value = Spans> {
        prop::collection::vec((-40i32..40, 0i32..20), 0..12)
            .prop_map(|list| Spans::union(list.iter().map(|&(w, l)| (f64::from(w), f64::from(w + l))).collect()))
    }

    proptest! {
        /// Inside and outside of any cut add up to the whole, whatever the two look like.
        #[test]
        fn both_parts_add_up(a in any_spans(), b in any_spans()) {
            let (both, rest) = (a.and(&b), a.without(&b));
            prop_assert_eq!(both.length() + rest.length(), a.length());
            prop_assert_eq!(both.and(&rest).length(), 0.0);
            prop_assert_eq!(a.and(&b), b.and(&a));
        }
    }
}
