//! Weaknesses on assets, with evidence and an explanation.
