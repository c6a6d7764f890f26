-- Undoes V002.
drop table reco.client_state;
