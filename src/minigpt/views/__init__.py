"""Pictures: functions that make a Plotly figure of a run, each useful alone."""
