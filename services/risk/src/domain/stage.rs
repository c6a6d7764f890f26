//! Which stage a version of a model may go to.

use common::ModelStage;

/// Whether a version may be moved from one stage to another. What is retired stays so: its predictions were given up on,
/// and what it says later is of a world that it was not watched in.
pub(crate) fn may_move(from: ModelStage, to: ModelStage) -> bool {
    match from {
        ModelStage::Shadow | ModelStage::Live => true,
        ModelStage::Retired => to == ModelStage::Retired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ModelStage::{Live, Retired, Shadow};

    #[test]
    fn a_version_goes_anywhere_until_it_is_retired() {
        let moves = [Shadow, Live, Retired].map(|from| [Shadow, Live, Retired].map(|to| may_move(from, to)));
        assert_eq!(
            moves,
            [[true, true, true], [true, true, true], [false, false, true]]
        );
    }
}
