//! Memory that outputs are written to.

/// The most planes that a layer's outputs lie in.
const MOST: usize = 4;

/// A stretch of memory, or the same stretch of every plane where outputs lie in planes.
#[derive(Default)]
pub(in super::super) struct Planes<'a>(pub(super) [&'a mut [f32]; MOST]);

impl<'a> Planes<'a> {
    /// Memory as `count` planes, each `len` numbers behind the one before.
    pub(in super::super) fn of(memory: &'a mut [f32], count: usize, len: usize) -> Self {
        let (mut planes, mut rest) = (Self::default(), memory);
        for plane in &mut planes.0[..count - 1] {
            (*plane, rest) = rest.split_at_mut(len);
        }
        planes.0[count - 1] = rest;
        planes
    }

    /// What lies before a place of every plane, and what lies from there on.
    pub(in super::super) fn split_at(self, place: usize) -> [Self; 2] {
        let (mut before, mut after) = (Self::default(), Self::default());
        for (p, plane) in self.0.into_iter().enumerate() {
            (before.0[p], after.0[p]) = plane.split_at_mut(place.min(plane.len()));
        }
        [before, after]
    }

    /// The same memory for a shorter time.
    pub(in super::super) fn reborrow(&mut self) -> Planes<'_> {
        Planes(self.0.each_mut().map(|plane| &mut **plane))
    }

    /// The stretch where there is one.
    pub(in super::super) fn first(&mut self) -> &mut [f32] {
        self.0[0]
    }
}
