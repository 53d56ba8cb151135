# SPDX-License-Identifier: MIT
# Completion for fish. What can be completed, the command itself says in its --help: options, arguments, and columns.

function __memsched_columns --argument-names command
	$command --help 2>/dev/null | sed -nE '/columns.*:$/I,/^$/s/^ +([a-z][a-z_-]*) +\*? *(.*)$/\1\t\2/p'
end

# Running guests of the libvirt here.
function __memsched_domains
	timeout 2 virsh -q -r list --name 2>/dev/null | string match -v ''
end

function __memsched_complete --argument-names command
	complete -c $command -f
	for line in ($command --help 2>/dev/null)
		# letter, name, [ of an argument that may be left out, what it is called, help
		set -l part (string replace -rf '^  (?:    |-(.), )--([a-z-]+)(?:(\[)?[= ]([A-Z]+)\]?)? +(.*)$' '$1\t$2\t$3\t$4\t$5' -- $line | string split \t)
		or continue
		set -l option -c $command -l $part[2] -d "$part[5]"
		test -n "$part[1]"; and set -a option -s $part[1]
		switch "$part[4]"
			case ''
				complete $option
			case FILE COMMAND DIR
				test -n "$part[3]"; and complete $option -F; or complete $option -r -F
			case GUEST
				complete $option -r -F -a '(timeout 2 virsh -q -r list --name --inactive 2>/dev/null | string match -v "")'
			case WHERE
				complete $option -F -a 'journal syslog'
			case URI
				complete $option -x -a 'qemu:///system qemu:///session'
			case WORD
				complete $option -x -a 'idle needed'
			case COLUMN
				complete $option -x -a "(__memsched_columns $command)"
			case LIST
				complete $option -x -a "(__fish_complete_list , '__memsched_columns $command')"
			case '*'
				test -n "$part[3]"; and complete $option; or complete $option -x
		end
	end
	test $command = memstat; and complete -c memstat -a '(__memsched_domains)'
end

for command in memstat membalance memguard
	__memsched_complete $command
end
