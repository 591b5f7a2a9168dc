//! Functions of numbers one by one, along the common axes of views.

use pulp::Arch;

use super::kernels::{Activate, Activation, Transpose};
use super::step::{Combine, Fill, Function, Map, Pairwise};

pub(super) fn map(arch: Arch, map: &Map, input: &[f32], output: &mut [f32]) {
    let offsets = [map.from.1, map.to.1];
    let plain = map.function == Function::Activation(Activation::Identity);
    if let [outer @ .., (rows, [from, 1]), (columns, [1, to])]
    | [outer @ .., (columns, [1, to]), (rows, [from, 1])] = &map.walk[..]
        && plain
        && *from > 1
        && *to > 1
    {
        each(outer, offsets, &mut |[from_place, to_place]| {
            let (input, output) = (&input[from_place..], &mut output[to_place..]);
            arch.dispatch(Transpose {
                input,
                output,
                rows: *rows,
                columns: *columns,
                pitches: [*from, *to],
            });
        });
        return;
    }
    stretches(&map.walk, offsets, &mut |[from, to], len, [step, to_step]| {
        if to_step > 1 && step > 0 && plain {
            let input = input[from..].chunks(step).take(len);
            let output = output[to..].chunks_mut(to_step);
            output.zip(input).for_each(|(to, from)| to[0] = from[0]);
            return;
        }
        if to_step != 1 {
            for i in 0..len {
                output[to + i * to_step] = map.function.of(arch, input[from + i * step]);
            }
            return;
        }
        let output = &mut output[to..][..len];
        match step {
            1 => output.copy_from_slice(&input[from..][..len]),
            0 => output.fill(input[from]),
            _ => {
                let input = input[from..].chunks(step);
                output.iter_mut().zip(input).for_each(|(to, from)| *to = from[0]);
            }
        }
        map.function.apply(arch, output);
    });
}

/// `a` is the output itself where there is none.
pub(super) fn combine(combine: &Combine, a: Option<&[f32]>, b: &[f32], output: &mut [f32]) {
    let offsets = [combine.from[0].1, combine.from[1].1, combine.to.1];
    stretches(&combine.walk, offsets, &mut |[at, bt, to], len, [a_step, b_step, to_step]| {
        for i in 0..len {
            let place = to + i * to_step;
            let a = a.map_or(output[place], |a| a[at + i * a_step]);
            output[place] = combine.function.of(a, b[bt + i * b_step]);
        }
    });
}

pub(super) fn fill(fill: &Fill, output: &mut [f32]) {
    for (offset, walk) in &fill.strips {
        stretches(walk, [*offset], &mut |[to], len, [step]| match step {
            1 => output[to..][..len].fill(0.0),
            _ => (0..len).for_each(|i| output[to + i * step] = 0.0),
        });
    }
}

/// Calls a function for every stretch of the innermost axis, with its places, length and steps.
fn stretches<const N: usize>(
    walk: &[(usize, [usize; N])],
    offsets: [usize; N],
    call: &mut impl FnMut([usize; N], usize, [usize; N]),
) {
    match walk {
        [] => call(offsets, 1, [1; N]),
        [outer @ .., (len, steps)] => {
            each(outer, offsets, &mut |places| call(places, *len, *steps))
        }
    }
}

/// Calls a function for every place along axes.
fn each<const N: usize>(
    walk: &[(usize, [usize; N])],
    offsets: [usize; N],
    call: &mut impl FnMut([usize; N]),
) {
    let [(size, strides), rest @ ..] = walk else { return call(offsets) };
    for i in 0..*size {
        each(rest, std::array::from_fn(|n| offsets[n] + i * strides[n]), call);
    }
}

impl Function {
    fn of(self, arch: Arch, x: f32) -> f32 {
        let mut value = [x];
        self.apply(arch, &mut value);
        value[0]
    }

    fn apply(self, arch: Arch, values: &mut [f32]) {
        let mut each = |function: &dyn Fn(f32) -> f32| {
            values.iter_mut().for_each(|value| *value = function(*value));
        };
        match self {
            Self::Activation(Activation::Identity) => {}
            Self::Activation(activation) => {
                arch.dispatch(Activate { activations: &[activation], values });
            }
            Self::Elu(alpha) => each(&|x| if x < 0.0 { alpha * x.exp_m1() } else { x }),
            Self::Softplus => each(&|x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
            Self::Exp => each(&f32::exp),
            Self::Log => each(&f32::ln),
            Self::Sqrt => each(&f32::sqrt),
            Self::Neg => each(&|x| -x),
            Self::Abs => each(&f32::abs),
            Self::Reciprocal => each(&|x| 1.0 / x),
        }
    }
}

impl Pairwise {
    fn of(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            // What is no number stays none.
            Self::Max => {
                if a > b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
            Self::Min => {
                if a < b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
        }
    }
}
