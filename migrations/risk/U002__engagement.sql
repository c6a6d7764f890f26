-- Undoes V002.
drop table risk.daily_engagement;
