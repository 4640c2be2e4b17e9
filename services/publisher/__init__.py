"""The publisher: owns the way from draft to catalogue - test runs, the gate, versions, publications."""
