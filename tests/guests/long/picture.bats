# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# The picture of a history as a browser draws it, light and dark, at two sizes. A page around it asks the browser.

setup_file() {
	command -v chromium >/dev/null || skip "no chromium here"
}

setup() {
	load ../../cli/cli.bash
	BATS_TEST_DIRNAME=$BATS_TEST_DIRNAME/.. cli_setup
	be_patient
	membalance -c "$node" --root "$root"
	memstat -c "$node" --root "$root" --svg "$BATS_TEST_TMPDIR/needy.svg" needy
}

# drawn WIDTH HEIGHT SCHEME: what the browser says: its background, whether all is within the picture, how wide that is, how
# many marks it has.
drawn() {
	{
		echo '<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">'
		cat "$BATS_TEST_TMPDIR/needy.svg"
		cat <<-'END'
			<pre id="found"></pre><script>
			const svg = document.querySelector("svg"), box = svg.getBoundingClientRect();
			const inside = e => { const b = e.getBoundingClientRect();
				return b.left >= box.left - 1 && b.right <= box.right + 1 && b.top >= box.top - 1 && b.bottom <= box.bottom + 1; };
			document.getElementById("found").textContent = ["found:", getComputedStyle(svg.querySelector(".back")).fill,
				[...svg.querySelectorAll("path,text,rect")].every(inside), Math.round(box.width),
				svg.querySelectorAll(".move").length].join(" ");
			</script>
		END
	} >"$BATS_TEST_TMPDIR/page.html"
	timeout 300 chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$BATS_TEST_TMPDIR/browser" --window-size="$1,$2" \
		--blink-settings=preferredColorScheme="$3" --dump-dom "file://$BATS_TEST_TMPDIR/page.html" 2>/dev/null |
		grep -o 'found: [^<]*'
}

@test "the picture fits its frame, small and large, in light and in dark" {
	light='rgb(255, 255, 255)' dark='rgb(22, 24, 29)'
	[ "$(drawn 1200 700 1)" = "found: $light true 1200 1" ]
	[ "$(drawn 1200 700 0)" = "found: $dark true 1200 1" ]
	[ "$(drawn 600 500 1)" = "found: $light true 600 1" ]
	[ "$(drawn 600 500 0)" = "found: $dark true 600 1" ]
}
