-- A policy that is activated judges everybody, page after page.
alter table social.risk_policies add column settled_at timestamptz;
comment on column social.risk_policies.settled_at is 'When every profile was judged by it; null before that, and from every activation on.';
update social.risk_policies set settled_at = activated_at where active;
