//! Memory for the values of a plan, shared by those that are not needed at the same time.

use super::plan::{Place, Plan};

/// Where the values of a plan are kept while it runs.
///
/// Steps between two dense layers are run image by image, and what only they see has room for one image.
/// What a dense layer sees has room for every image of a group.
pub(super) struct Memory {
    /// For every value in memory, its slot.
    pub(super) slots: Vec<Option<usize>>,
    /// Numbers in a slot for one image, and whether it has room for a group.
    pub(super) sizes: Vec<(usize, bool)>,
    /// Steps that are run together, from the first to behind the last.
    pub(super) segments: Vec<Segment>,
}

/// Steps that are run together: a dense layer for all images, or others image by image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) first: usize,
    pub(super) end: usize,
    pub(super) dense: bool,
}

/// The part of a plan, from the first writing to the last reading, in which a value is needed.
#[derive(Debug, Clone, Copy)]
struct Life {
    first: usize,
    last: usize,
}

impl Memory {
    pub(super) fn of(plan: &Plan) -> Self {
        let segments = segments(plan);
        let mut segment_of = vec![0; plan.steps.len()];
        for (number, segment) in segments.iter().enumerate() {
            segment_of[segment.first..segment.end].fill(number);
        }
        let mut lives: Vec<Option<Life>> = vec![None; plan.values.len()];
        for (place, step) in plan.steps.iter().enumerate() {
            for value in step.op.reads().into_iter().flatten().chain([step.op.writes()]) {
                let life = lives[value].get_or_insert(Life { first: place, last: place });
                life.last = place;
            }
        }
        let mut memory = Self { slots: vec![None; plan.values.len()], sizes: vec![], segments };
        // By slot, where its last value ends; by steps or, for groups, by segments.
        let mut busy: Vec<usize> = vec![];
        let mut order: Vec<usize> = (0..plan.values.len()).collect();
        order.sort_by_key(|&value| lives[value].map(|life| life.first));
        for value in order {
            let (Place::Memory, Some(life)) = (&plan.values[value].place, lives[value]) else {
                continue;
            };
            let len = plan.values[value].len;
            let ends = [life.first, life.last].map(|step| segment_of[step]);
            let grouped = ends[0] != ends[1] || memory.segments[ends[0]].dense;
            let [first, last] = if grouped { ends } else { [life.first, life.last] };
            let free = (0..busy.len()).filter(|&s| memory.sizes[s].1 == grouped && busy[s] < first);
            let slot = free.min_by_key(|&slot| memory.sizes[slot].0.abs_diff(len));
            let slot = slot.unwrap_or_else(|| {
                busy.push(0);
                memory.sizes.push((0, grouped));
                busy.len() - 1
            });
            busy[slot] = last;
            memory.sizes[slot].0 = memory.sizes[slot].0.max(len);
            memory.slots[value] = Some(slot);
        }
        memory
    }

    /// Numbers for every image of a group.
    pub(super) fn grouped(&self) -> usize {
        self.sizes.iter().filter(|(_, grouped)| *grouped).map(|(len, _)| len).sum()
    }
}

fn segments(plan: &Plan) -> Vec<Segment> {
    let mut segments: Vec<Segment> = vec![];
    for (place, step) in plan.steps.iter().enumerate() {
        let dense = step.op.is_dense();
        match segments.last_mut() {
            Some(segment) if !dense && !segment.dense => segment.end = place + 1,
            _ => segments.push(Segment { first: place, end: place + 1, dense }),
        }
    }
    segments
}
