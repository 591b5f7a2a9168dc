//! Products of matrices.

use super::elementwise::broadcast;
use super::{Fact, Node};

/// `A B + C`, either matrix transposed first where an attribute says so.
pub(super) fn gemm(node: &Node) -> Result<Vec<Fact>, String> {
    let matrix =
        |place: usize, transposed: &str| match (&*node.input(place)?.dims, node.int(transposed, 0))
        {
            (&[rows, columns], 0) => Ok([rows, columns]),
            (&[rows, columns], _) => Ok([columns, rows]),
            (dims, _) => Err(format!("takes matrices and gets {dims:?}")),
        };
    let ([rows, inner], [also_inner, columns]) = (matrix(0, "transA")?, matrix(1, "transB")?);
    if inner != also_inner {
        return Err(format!("multiplies rows of {inner} with columns of {also_inner}"));
    }
    let dims = vec![rows, columns];
    match node.optional(2) {
        Some(c) if broadcast(&dims, &c.dims).as_ref() != Ok(&dims) => {
            Err(format!("adds {:?} to {dims:?}", c.dims))
        }
        _ => Ok(vec![node.gives(node.input(0)?.element, dims)?]),
    }
}

/// NumPy's `matmul`: a vector is a row on the left and a column on the right, and all axes but the
/// last two are broadcast.
pub(super) fn matmul(node: &Node) -> Result<Vec<Fact>, String> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    let (left, row) = match &a.dims[..] {
        &[] => return Err("multiplies a scalar".into()),
        &[inner] => (vec![1, inner], true),
        dims => (dims.to_vec(), false),
    };
    let (right, column) = match &b.dims[..] {
        &[] => return Err("multiplies a scalar".into()),
        &[inner] => (vec![inner, 1], true),
        dims => (dims.to_vec(), false),
    };
    let ([batch @ .., rows, inner], [also_batch @ .., also_inner, columns]) =
        (&left[..], &right[..])
    else {
        unreachable!("both have two axes or more")
    };
    if inner != also_inner {
        return Err(format!("multiplies rows of {inner} with columns of {also_inner}"));
    }
    let mut dims = broadcast(batch, also_batch)?;
    dims.extend((!row).then_some(rows));
    dims.extend((!column).then_some(columns));
    Ok(vec![node.gives(a.element, dims)?])
}
