"""Classical baselines by scikit-learn: what simple features say of a lesion, beside what the nets say."""
