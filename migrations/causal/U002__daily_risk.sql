-- Undoes V002.
drop table causal.daily_risk;
