-- Undoes V017.
drop policy swapped on social.oncall_overrides;
drop table social.shift_swaps;
drop function social.check_swap_move();
