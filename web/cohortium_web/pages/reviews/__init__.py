"""Reviews: templates filled in for a patient, completed, amended, printed."""
